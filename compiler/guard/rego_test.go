// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/tester"

	"mpol/policies"
)

// TestRego runs the Rego tests of every built-in guardrail, with the built-in functions that
// guardrails have, and demands of each guardrail a test that passes a policy, one that denies one,
// and a page.
func TestRego(t *testing.T) {
	gs, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if len(gs) == 0 {
		t.Fatal("no built-in guardrails")
	}
	for _, g := range gs {
		t.Run(g.Name, func(t *testing.T) {
			if _, err := fs.Stat(policies.Guardrails(), path.Join(g.Name, "README.md")); err != nil {
				t.Errorf("guardrail without a page: %v", err)
			}
			kinds := map[string]int{"test_allows_": 0, "test_denies_": 0}
			for _, r := range regoTests(t, g) {
				for kind := range kinds {
					if strings.HasPrefix(r.Name, kind) {
						kinds[kind]++
					}
				}
				t.Run(r.Name, func(t *testing.T) {
					if !r.Pass() {
						t.Errorf("%s: %v", r.Location, r)
					}
				})
			}
			for kind, n := range kinds {
				if n == 0 {
					t.Errorf("no Rego test named %s...", kind)
				}
			}
		})
	}
}

func regoTests(t *testing.T, g Guardrail) []*tester.Result {
	t.Helper()
	file := path.Join(g.Name, g.Name+"_test.rego")
	text, err := fs.ReadFile(policies.Guardrails(), file)
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]*ast.Module{}
	for name, text := range map[string]string{g.File: g.Text, file: string(text)} {
		m, err := ast.ParseModule(name, text)
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = m
	}
	ch, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)).
		RaiseBuiltinErrors(true).
		SetTimeout(10*time.Second).
		SetModules(modules).
		RunTests(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var rs []*tester.Result
	for r := range ch {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b *tester.Result) int { return strings.Compare(a.Name, b.Name) })
	return rs
}
