// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mpol/compiler/policytest"
	"mpol/lang"
	"mpol/lang/check"
)

// TestExamples: the tests of each example pass, and hold each rule: without it one fails.
func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("../../policies/examples/*")
	if err != nil || len(folders) < 6 {
		t.Fatalf("examples %v, error %v; want six situations", folders, err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			m := example(t, folder)
			if !passes(m) {
				t.Fatal("its tests fail")
			}
			rules := 0
			for i, p := range m.Policies {
				for _, b := range []**check.Block{&p.Ingress, &p.Egress} {
					if *b == nil {
						continue
					}
					whole := *b
					for j, r := range whole.Rules {
						if r.Audit || p.Audit {
							continue // it reports, and decides nothing
						}
						rules++
						less := *whole
						less.Rules = slices.Delete(slices.Clone(whole.Rules), j, j+1)
						*b = &less
						if passes(m) {
							t.Errorf("%s: no test fails without this rule of %s", r.PlaceSpan, m.Policies[i].Name)
						}
					}
					*b = whole
				}
			}
			if rules == 0 {
				t.Error("it has no rules")
			}
		})
	}
}

func example(t *testing.T, folder string) *check.Module {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.mpol"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*lang.File
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, diags := lang.Parse(path, text)
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		files = append(files, f)
	}
	m, diags := check.Check(files, check.Options{})
	if m == nil {
		t.Fatal(diags)
	}
	return m
}

func passes(m *check.Module) bool {
	return !slices.ContainsFunc(policytest.Run(m, policytest.Options{}), func(r policytest.Result) bool { return r.Status != policytest.Pass })
}
