// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// FuzzInventory reads any text as an inventory and compiles for it: it is refused in one line, or
// there is a program.
func FuzzInventory(f *testing.F) {
	for _, seed := range []string{
		"",
		"workloads: []",
		"workloads: [{name: a, labels: {app: web}, addresses: [10.0.0.1, fd00::1], interface: veth-a}]",
		"workloads: [{name: a, cgroup: a}, {name: b, addresses: [10.0.0.2]}]\nnode_addresses: [192.0.2.1]\nresolvers: [192.0.2.53]",
		"workloads: [{name: a, addresses: [10.0.0.1]}, {name: b, addresses: [\"::ffff:10.0.0.1\"]}]",
		"workloads: [{name: a, addresses: [127.0.0.1]}, {name: b, addresses: [fe80::1%eth0]}]",
		"workloads: [{name: a, cgroup: x}, {name: b, cgroup: x}]",
		"--- {}\n--- {}",
		"a: &a [*a]",
	} {
		f.Add([]byte(seed))
	}
	file, _ := lang.Parse("p.mpol", []byte("package p\n\ndefault allow\n"))
	module, diags := check.Check([]*lang.File{file}, check.Options{})
	if diags.HasErrors() {
		f.Fatal(diags)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		inv, err := parseInventory(text)
		var p *program.Program
		if err == nil {
			var list diag.List
			p, list = compiler.Compile(module, inv)
			err = inventoryFault("x.yaml", list)
		}
		switch {
		case err == nil && p == nil:
			t.Errorf("inventory %q: neither a program nor an error", text)
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("inventory %q: the error %q, want one line", text, err)
		}
	})
}
