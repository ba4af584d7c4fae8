// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mpol/compiler/policytest"
	"mpol/lang"
	"mpol/lang/check"
)

// example checks the files of a folder, without a single diagnostic, warnings included.
func example(t *testing.T, folder string) *check.Module {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.mpol"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no policy in %s: %v", folder, err)
	}
	var files []*lang.File
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		f, diags := lang.Parse(p, text)
		for _, d := range diags {
			t.Errorf("%s: %s: %s", d.Span, d.Code, d.Summary)
		}
		files = append(files, f)
	}
	m, diags := check.Check(files, check.Options{Today: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)})
	for _, d := range diags {
		t.Errorf("%s: %s: %s", d.Span, d.Code, d.Summary)
	}
	if m == nil {
		t.Fatal("no module")
	}
	return m
}

// TestExamples: every example is without a mistake, passes its tests, and fails one of them when any
// one rule that decides is taken out.
func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("../../policies/examples/*")
	if err != nil || len(folders) < 6 {
		t.Fatalf("%d examples: %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			m := example(t, folder)
			for _, r := range policytest.Run(m, policytest.Options{}) {
				if r.Status != policytest.Pass {
					t.Errorf("%s: %s: %s", r.Span, r.Test, r.Summary)
				}
			}
			for i, p := range m.Policies {
				for _, b := range []*check.Block{p.Egress, p.Ingress} {
					if b == nil {
						continue
					}
					for j, r := range b.Rules {
						if !r.Audit && !fails(without(m, i, b, j)) {
							t.Errorf("%s: without the rule %q no test fails", r.PlaceSpan, r.Label)
						}
					}
				}
			}
		})
	}
}

// without returns m less rule j of block b of policy i.
func without(m *check.Module, i int, b *check.Block, j int) *check.Module {
	less, policy, block := *m, *m.Policies[i], *b
	block.Rules = slices.Delete(slices.Clone(b.Rules), j, j+1)
	if policy.Egress == b {
		policy.Egress = &block
	} else {
		policy.Ingress = &block
	}
	less.Policies = slices.Clone(m.Policies)
	less.Policies[i] = &policy
	return &less
}

func fails(m *check.Module) bool {
	return slices.ContainsFunc(policytest.Run(m, policytest.Options{}), func(r policytest.Result) bool { return r.Status != policytest.Pass })
}
