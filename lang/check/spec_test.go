// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSpec: every clause of spec.md names tests that exist, and every archive proves a clause.
func TestSpec(t *testing.T) {
	spec, err := os.ReadFile("../spec.md")
	if err != nil {
		t.Fatal(err)
	}
	clause := regexp.MustCompile(`^\d+\. .*\[([^\]]+)\]$`)
	named := map[string]bool{}
	for _, line := range strings.Split(string(spec), "\n") {
		if !regexp.MustCompile(`^\d+\. `).MatchString(line) {
			continue
		}
		m := clause.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("clause without a test: %.60s", line)
			continue
		}
		for _, name := range strings.Split(m[1], ", ") {
			named[name] = true
		}
	}
	tests := testNames(t)
	for name := range named {
		if !tests[name] {
			t.Errorf("spec.md names %s, which does not exist", name)
		}
	}
	for name := range tests {
		if strings.Contains(name, "/") && !named[name] {
			t.Errorf("no clause of spec.md names %s", name)
		}
	}
}

// testNames returns the archives and test functions of lang and below.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for kind, pattern := range map[string]string{"golden": "testdata/*.txtar", "tree": "../testdata/*.txtar"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			names[kind+"/"+strings.TrimSuffix(filepath.Base(p), ".txtar")] = true
		}
	}
	for _, from := range []struct{ prefix, pattern string }{
		{"", "*_test.go"},
		{"", "../*_test.go"},
		{"", "../diag/*_test.go"},
		{"compiler.", "../../compiler/*_test.go"},
		{"verdict.", "../../compiler/verdict/*_test.go"},
		{"policytest.", "../../compiler/policytest/*_test.go"},
		{"program.", "../../compiler/program/*_test.go"},
	} {
		paths, err := filepath.Glob(from.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(text), -1) {
				names[from.prefix+m[1]] = true
			}
		}
	}
	return names
}
