// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mpol/compiler/policytest"
	"mpol/lang/check"
)

// TestMeaning: what the language means, said in the language. Every line of every file holds, and where any
// one rule that decides is taken out, some line does not.
func TestMeaning(t *testing.T) {
	paths, err := filepath.Glob("testdata/meaning/*.mpol")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".mpol"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m := module(t, path, string(text))
			for _, r := range missed(m) {
				t.Errorf("%s: %q: %s: %s", r.Span, r.Test, r.Status, r.Summary)
			}
			for _, p := range m.Policies {
				for _, b := range []*check.Block{p.Egress, p.Ingress} {
					if b != nil && !p.Audit {
						everyRuleDecides(t, m, b)
					}
				}
			}
		})
	}
}

// TestWhole: the file that the text of the language shows first holds what it says.
func TestWhole(t *testing.T) {
	spec, err := os.ReadFile("../../lang/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, fence, _ := strings.Cut(string(spec), "```mpol\n")
	text, _, ok := strings.Cut(fence, "```")
	if !ok {
		t.Fatal("spec.md shows no file")
	}
	for _, r := range missed(module(t, "whole.mpol", text)) {
		t.Errorf("%s: %s: %s", r.Span, r.Status, r.Summary)
	}
}

// everyRuleDecides takes the rules of a block out, one at a time.
func everyRuleDecides(t *testing.T, m *check.Module, b *check.Block) {
	t.Helper()
	rules := b.Rules
	defer func() { b.Rules = rules }()
	for i, r := range rules {
		b.Rules = slices.Delete(slices.Clone(rules), i, i+1)
		if !r.Audit && len(missed(m)) == 0 {
			t.Errorf("%s: without %s every line holds", r.PlaceSpan, r.Label)
		}
	}
}

// missed returns the lines of a module that do not hold.
func missed(m *check.Module) []policytest.Result {
	return slices.DeleteFunc(policytest.Run(m, policytest.Options{}), func(r policytest.Result) bool { return r.Status == policytest.Pass })
}
