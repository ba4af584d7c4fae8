// SPDX-License-Identifier: Apache-2.0

package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang"
)

// stringsOf returns every string of the examples and of the goldens, once.
func stringsOf(f *testing.F) []string {
	f.Helper()
	var texts []string
	for _, pattern := range []string{"../../policies/examples/*/*.mpol", "testdata/*.txtar"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			tokens, _ := lang.Scan(path, text)
			for _, t := range tokens {
				if lang.IsString(t) {
					texts = append(texts, lang.Text(t))
				}
			}
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// FuzzNamePattern: canonical text is its own canonical text, and two patterns that match one name
// meet.
func FuzzNamePattern(f *testing.F) {
	for _, seed := range [][3]string{
		{"**.shop.example", "*.shop.example", "a.shop.example"},
		{"a*b*.x.y", "*c.x.y", "abc.x.y"},
		{"BÜCHER.example.", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"*.*.x", "**.x", "a.b.x"},
		{"*a*", "a", "a"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	texts := stringsOf(f)
	for i := 2; i < len(texts); i++ {
		f.Add(texts[i-2], texts[i-1], texts[i])
	}
	f.Fuzz(func(t *testing.T, a, b, name string) {
		var patterns []program.NamePattern
		for _, text := range []string{a, b} {
			labels, fault := nameLabels(text)
			if fault != "" {
				return
			}
			canonical := strings.Join(labels, ".")
			if again, fault := nameLabels(canonical); fault != "" || strings.Join(again, ".") != canonical {
				t.Fatalf("%q is canonically %q, which gives %q, %s", text, canonical, again, fault)
			}
			patterns = append(patterns, program.NamePattern(canonical))
		}
		n := program.ParseName(name)
		for i, p := range patterns {
			if registrable := registrableOf(p.Labels()); registrable != "" && p.Matches(n) && !strings.HasSuffix("."+n.String(), "."+registrable) {
				t.Fatalf("%q matches %q, which is not of %q", p, n, registrable)
			}
			if q := patterns[1-i]; p.Matches(n) && q.Matches(n) && !p.Meets(q) {
				t.Fatalf("%q and %q match %q and do not meet", p, q, n)
			}
		}
		if patterns[0].Meets(patterns[1]) != patterns[1].Meets(patterns[0]) {
			t.Fatalf("%q meets %q in one direction only", patterns[0], patterns[1])
		}
	})
}

// FuzzPathPattern: a pattern without wildcards is taken if and only if it is a judged path.
func FuzzPathPattern(f *testing.F) {
	for _, seed := range []string{"/", "/a/b/", "/a//b", "/%41", "/%c3%a9", "/%C3%A9", "/a;b", "/.", "/a b", "/%2f", "a", "/a?b", "/~x", "/a|b", "/[", "/é"} {
		f.Add(seed)
	}
	for _, text := range stringsOf(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, fault, _ := parsePath(text)
		if fault == "" && (len(p.Segments) > 0 && p.Segments[0].Any || p.Subtree) || strings.ContainsAny(text, "*{}") {
			return
		}
		judged, ok := verdict.JudgePath(text)
		if taken, same := fault == "", ok && judged == text; taken && !same {
			t.Fatalf("%q is taken, and no path is judged as it: %q, %v", text, judged, ok)
		}
		if fault != "" && ok && judged == text && !strings.ContainsAny(text, "\"<>^`|") {
			t.Fatalf("%q is a judged path and is not taken: %s", text, fault)
		}
	})
}
