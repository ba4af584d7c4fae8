// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/internal/source"
	"mpol/lang/check"
)

// target is how long compiling again may take after a small change, in ms.
const target = 20

// change is a small one: what is compiled before it and after it.
type change struct {
	what          string
	before, after *check.Module
	inventory     program.Inventory // after it
}

// changes are those of one file, of a file that is added, of a workload that moves, of one that comes
// with labels that others have, and of one with labels of its own.
func (a *author) changes(ctx context.Context) ([]change, error) {
	at, all := len(a.files)/2, []change{}
	edit := func(what string, files []source.File) error {
		before, err := readModule(ctx, &a.set, a.files)
		if err != nil {
			return err
		}
		after, err := readModule(ctx, &a.set, files)
		all = append(all, change{what, before, after, a.inventory})
		return err
	}
	more := fmt.Sprintf("@owner(\"team\") policy more for (app = %q) { ingress { host: allow from host on tcp/1 } egress none }\n", a.app(at))
	for _, e := range []struct{ what, old, new string }{
		{"a port", fmt.Sprintf("on tcp/%d\n", firstPort), fmt.Sprintf("on tcp/%d\n", firstPort-1)},
		{"a rule", "  egress {\n", "  egress {\n    more: allow to host on tcp/1\n"},
		{"a path", "/cart/{user}/items", "/basket/{user}/items"},
		{"a prefix", "198.51.100.5 on", "198.51.100.128/25 on"},
		{"a policy", "\n## ", "\n" + more + "\n## "},
		{"a declared name", "*.cdn-", "**.cdn-"},
	} {
		files := slices.Clone(a.files)
		files[at].Text = bytes.Replace(files[at].Text, []byte(e.old), []byte(e.new), 1)
		if err := edit(e.what, files); err != nil {
			return nil, err
		}
	}
	for _, e := range []struct{ what, name, of string }{{"a file", "more.mpol", "estate"}, {"a package", "z/more.mpol", "more"}} {
		file := source.File{Name: filepath.Join(a.dir, "mpol", e.name), Text: []byte("package " + e.of + "\n\n" + more)}
		if err := edit(e.what, append(slices.Clip(a.files), file)); err != nil {
			return nil, err
		}
	}
	moved := a.inventory
	moved.Workloads = slices.Clone(moved.Workloads)
	moved.Workloads[at].Addresses = []netip.Addr{a.address(len(moved.Workloads))}
	all = append(all, change{"an address", a.module, a.module, moved})
	for _, who := range []struct{ what, app string }{{"a workload", a.app(0)}, {"new labels", "new"}} {
		inv := a.inventory
		inv.Workloads = append(slices.Clip(inv.Workloads), program.Workload{
			Name: "x", Interface: "vx", Addresses: []netip.Addr{a.address(len(inv.Workloads))},
			Labels: []program.Label{{Key: "app", Value: who.app}, {Key: "env", Value: "prod"}},
		})
		all = append(all, change{who.what, a.module, a.module, inv})
	}
	return all, nil
}

// compileAgain compares compiling after a small change with the time that it may take.
func (a *author) compileAgain(ctx context.Context) (*comparison, error) {
	changes, err := a.changes(ctx)
	if err != nil {
		return nil, err
	}
	var memory compiler.Memory
	compile := func(m *check.Module, inv program.Inventory) (float64, error) {
		start := time.Now()
		p, diags := memory.Compile(m, inv)
		if p == nil {
			return 0, fmt.Errorf("compile again: %v", diags)
		}
		return ms(time.Since(start)), nil
	}
	c := &comparison{
		beside: side{name: "target", measure: func() ([]float64, error) { return slices.Repeat([]float64{target}, len(changes)), nil }},
		ours: side{name: "mpol", measure: func() (all []float64, err error) {
			for _, change := range changes {
				if _, err := compile(change.before, a.inventory); err != nil {
					return nil, err
				}
				took, err := compile(change.after, change.inventory)
				if err != nil {
					return nil, err
				}
				all = append(all, took)
			}
			return all, nil
		}},
	}
	for _, change := range changes {
		c.metrics = append(c.metrics, metric{"compile again: " + change.what, "ms"})
	}
	return c, nil
}
