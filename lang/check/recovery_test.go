// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// slips are what a hand does to two tokens and what stands between them.
var slips = []struct {
	name  string
	every int // of how many tokens it is tried on one
	do    func(a, between, b string) string
}{
	{"left out", 1, func(_, between, b string) string { return between + b }},
	{"twice", 3, func(a, between, b string) string { return a + " " + a + between + b }},
	{"behind the next", 3, func(a, between, b string) string { return b + between + a }},
}

// TestRecovery: a token that is left out, written twice or swapped with the next costs one declaration,
// two where it stands between them: the mistake is found there, few follow from it, and the rest is read.
func TestRecovery(t *testing.T) {
	folders, err := filepath.Glob("../../policies/examples/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			paths, err := filepath.Glob(filepath.Join(folder, "*.mpol"))
			if err != nil {
				t.Fatal(err)
			}
			var files []*lang.File
			texts := make([]string, len(paths))
			for i, p := range paths {
				text, err := os.ReadFile(p)
				if err != nil {
					t.Fatal(err)
				}
				f, _ := lang.Parse(p, text)
				files, texts[i] = append(files, f), string(text)
			}
			for i := range files {
				slip(t, files, i, texts[i])
			}
		})
	}
}

// TestWrongBracket: a bracket of another kind than it should be, and a string without its first quote, is one
// mistake, and nothing follows from it.
func TestWrongBracket(t *testing.T) {
	brackets := map[string][]string{"{": {"(", "["}, "(": {"{"}, "[": {"{", "("}, "}": {")", "]"}, ")": {"}"}, "]": {"}", ")"}}
	plain := regexp.MustCompile(`^"[\w./-]+"$`)
	paths, err := filepath.Glob("../../policies/examples/*/*.mpol")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tokens, _ := lang.Scan(path, text)
		for _, token := range tokens {
			wrong := brackets[token.Value]
			if plain.MatchString(token.Value) {
				wrong = []string{token.Value[1:]}
			}
			for _, w := range wrong {
				at := token.Pos.Offset
				_, diags := lang.Parse(path, []byte(string(text[:at])+w+string(text[at+len(token.Value):])))
				if len(diags) != 1 || diags[0].Help == "" || diags[0].Span.Start.Line != token.Pos.Line {
					t.Errorf("%s: %s as %s: %v", token.Pos, token.Value, w, diags)
				}
			}
		}
	}
}

// slip tries every slip on the text of file k of a program.
func slip(t *testing.T, files []*lang.File, k int, text string) {
	t.Helper()
	tokens, _ := lang.Scan(files[k].Name, []byte(text))
	end := func(i int) int { return tokens[i].Pos.Offset + len(tokens[i].Value) }
	for i := range len(tokens) - 2 {
		for n, s := range slips {
			if (i+n)%s.every != 0 {
				continue
			}
			at, next := tokens[i].Pos.Offset, tokens[i+1].Pos.Offset
			slipped := text[:at] + s.do(text[at:end(i)], text[end(i):next], text[next:end(i+1)]) + text[end(i+1):]
			f, diags := lang.Parse(files[k].Name, []byte(slipped))
			program := slices.Clone(files)
			program[k] = f
			_, more := check.Check(program, check.Options{})
			if fault := overdone(files[k], f, tokens[i], diags, more); fault != "" {
				t.Errorf("%s:%d:%d: %s is %s: %s", files[k].Name, tokens[i].Pos.Line, tokens[i].Pos.Column, tokens[i].Value, s.name, fault)
			}
		}
	}
}

// overdone says what is wrong with what was found in a file after a slip at a token, empty if nothing is.
func overdone(was, is *lang.File, at lang.Token, syntax, more diag.List) string {
	errors := slices.Concat(syntax, more)
	errors = slices.DeleteFunc(errors, func(d diag.Diagnostic) bool { return d.Severity != diag.Error })
	var all strings.Builder
	for _, d := range errors {
		fmt.Fprintf(&all, "\n  %s: %s: %s", d.Span, d.Code, d.Summary)
	}
	if len(errors) > 3 {
		return fmt.Sprintf("%d errors:%s", len(errors), all.String())
	}
	if from, to := around(was, at.Pos.Offset); len(syntax) > 0 && (syntax[0].Span.Start.Offset < from || syntax[0].Span.Start.Offset > to+len(at.Value)+1) {
		return "it is found elsewhere:" + all.String()
	}
	if lost := sound(was) - sound(is); lost > 2 {
		return fmt.Sprintf("%d declarations are lost:%s", lost, all.String())
	}
	return ""
}

// around returns the ends of the declaration that holds an offset together with the one behind it.
func around(f *lang.File, offset int) (from, to int) {
	spans := []diag.Span{f.Package.Span()}
	for _, d := range f.Decls {
		spans = append(spans, d.Common().Span())
	}
	for i, s := range spans {
		if offset < s.End.Offset || i == len(spans)-1 {
			if i > 0 {
				from = spans[i-1].End.Offset
			}
			return from, spans[min(i+1, len(spans)-1)].End.Offset
		}
	}
	return 0, 0
}

// sound counts the declarations that could be read.
func sound(f *lang.File) int {
	n := 0
	for _, d := range f.Decls {
		if !d.Common().Broken {
			n++
		}
	}
	return n
}

// TestNamesInAnyOrder: what follows from a name without a value does not hang on where it stands.
func TestNamesInAnyOrder(t *testing.T) {
	lines := []string{"service a = tcp/0\n", "service b = a, sctp/1\n", "resolver r = 192.0.2.1 on b\n", "service c = b, icmp\n"}
	for range 2 {
		f, _ := lang.Parse("a.mpol", []byte("package a\n"+strings.Join(lines, "")))
		_, diags := check.Check([]*lang.File{f}, check.Options{})
		if len(diags) != 1 || diags[0].Code != diag.BadL4 {
			t.Errorf("%q: %v, want one error", lines, diags)
		}
		slices.Reverse(lines)
	}
}
