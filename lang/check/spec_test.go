// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mpol/compiler/program"
)

// TestSpec: every clause of spec.md names tests that exist, every archive of the language proves a clause, and
// clauses are numbered without a gap.
func TestSpec(t *testing.T) {
	spec, err := os.ReadFile("../spec.md")
	if err != nil {
		t.Fatal(err)
	}
	clause := regexp.MustCompile(`^\d+\. .*\[([^\]]+)\]$`)
	named, count := map[string]bool{}, 0
	for _, line := range strings.Split(string(spec), "\n") {
		if !regexp.MustCompile(`^\d+\. `).MatchString(line) {
			continue
		}
		count++
		if !strings.HasPrefix(line, fmt.Sprintf("%d. ", count)) {
			t.Errorf("clause %d is numbered otherwise: %.60s", count, line)
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
		if strings.Contains(name, "/") && !strings.HasPrefix(name, "verb/") && !named[name] {
			t.Errorf("no clause of spec.md names %s", name)
		}
	}
}

// testNames returns the archives, policies and test functions that prove something of the language.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for kind, pattern := range map[string]string{
		"golden": "testdata/*.txtar", "tree": "../testdata/*.txtar", "verb": "../../cmd/mpol/testdata/*.txtar",
		"meaning": "../../compiler/policytest/testdata/meaning/*.mpol",
	} {
		for _, p := range glob(t, pattern) {
			names[kind+"/"+strings.TrimSuffix(filepath.Base(p), filepath.Ext(p))] = true
		}
	}
	for _, from := range []struct{ prefix, folder string }{
		{"", "."},
		{"", ".."},
		{"", "../diag"},
		{"", "../format"},
		{"compiler.", "../../compiler"},
		{"verdict.", "../../compiler/verdict"},
		{"policytest.", "../../compiler/policytest"},
		{"program.", "../../compiler/program"},
		{"bpf.", "../../bpf"},
		{"dnsproxy.", "../../dnsproxy"},
		{"l7proxy.", "../../l7proxy"},
		{"e2e.", "../../e2e"},
		{"mpol.", "../../cmd/mpol"},
	} {
		for _, p := range glob(t, filepath.Join(from.folder, "*_test.go")) {
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

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no files: %v", pattern, err)
	}
	return paths
}

// TestSpecialPurpose: the blocks that spec.md names are those that internet leaves out.
func TestSpecialPurpose(t *testing.T) {
	spec, err := os.ReadFile("../spec.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`special-purpose blocks: (.*)\. \[`).FindSubmatch(spec)
	if m == nil {
		t.Fatal("spec.md names no special-purpose blocks")
	}
	var got []netip.Prefix
	for _, text := range strings.Split(string(m[1]), ", ") {
		got = append(got, netip.MustParsePrefix(text))
	}
	if want := program.SpecialPurpose(); !slices.Equal(got, want) {
		t.Errorf("spec.md names %v, internet leaves out %v", got, want)
	}
}
