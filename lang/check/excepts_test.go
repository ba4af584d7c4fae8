// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// TestExceptKinds takes a peer of each kind from one of each.
func TestExceptKinds(t *testing.T) {
	const addresses = "10.0.0.0/8 cidrs internet"
	const workloads = `workloads web (app="x") same("app")`
	const names = `"a.b.example" names`
	takes := map[string]string{
		"any":       "any host world " + workloads + " " + addresses,
		"workloads": workloads, "web": workloads, `(app="x")`: workloads, `same("app")`: workloads,
		"host": "", "world": addresses, "internet": addresses, "10.0.0.0/8": addresses, "cidrs": addresses,
		`"a.b.example"`: names, "names": names,
	}
	write := strings.NewReplacer("(\"app\")", ` "app"`, "cidrs", "office", "names", "sites")
	for from, may := range takes {
		for what := range takes {
			text := write.Replace(fmt.Sprintf("policy p for workloads {\n egress { allow to %s except %s on tcp/1 }\n}\n", from, what))
			file, diags := lang.Parse("p.mpol", []byte("package p\ndefault deny\nworkload web = app = \"web\"\n"+
				"cidrs office = 10.1.0.0/16\ndomains sites = \"*.b.example\"\n"+text))
			if len(diags) > 0 {
				t.Fatalf("%s: %v", text, diags)
			}
			_, list := check.Check([]*lang.File{file}, check.Options{})
			refused := slices.ContainsFunc(list, func(d diag.Diagnostic) bool { return d.Code == diag.ExceptKind })
			if want := !slices.Contains(strings.Fields(may), what); refused != want {
				t.Errorf("%s except %s: refused %v, want %v: %v", from, what, refused, want, list)
			}
		}
	}
}
