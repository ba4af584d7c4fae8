// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mpol/lang"
	"mpol/lang/diag"
)

var update = flag.Bool("update", false, "rewrite the golden archives")

// TestTree compares what Parse reads from input.mpol with the section tree.
func TestTree(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Files) != 2 {
				t.Fatalf("%d sections, want input.mpol and tree", len(a.Files))
			}
			file, diags := lang.Parse("input.mpol", a.Files[0].Data)
			got := tree(file, diags)
			if *update {
				a.Files[1].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

// tree renders a file: one line a node, with its place and its text.
func tree(f *lang.File, diags diag.List) string {
	var b strings.Builder
	node := func(depth int, kind string, s diag.Span, text string) {
		fmt.Fprintf(&b, "%s%s %d:%d-%d:%d %s\n", strings.Repeat("  ", depth), kind, s.Start.Line, s.Start.Column, s.End.Line, s.End.Column, text)
	}
	head := func(depth int, h *lang.Head) {
		for _, d := range h.Doc {
			fmt.Fprintf(&b, "%s## %s\n", strings.Repeat("  ", depth), d)
		}
		for _, a := range h.Annotations {
			node(depth, "annotation", a.Span(), a.Text())
		}
		if h.Broken {
			fmt.Fprintf(&b, "%sbroken\n", strings.Repeat("  ", depth))
		}
	}
	if f.Package != nil {
		node(0, "package", f.Package.Span(), f.Package.Name.Value)
	}
	for _, d := range f.Decls {
		h := d.Common()
		node(0, strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", d), "*lang.")), h.Span(), "")
		head(1, h)
		switch d := d.(type) {
		case *lang.Policy:
			for _, bl := range d.Blocks {
				node(1, bl.Word.Value, bl.Span(), fmt.Sprintf("none=%v", bl.None))
				for _, r := range bl.Rules {
					node(2, "rule", r.Span(), r.Text())
					head(3, &r.Head)
				}
				for _, r := range bl.Resolves {
					node(2, "resolve", r.Span(), r.Text())
				}
			}
		case *lang.Test:
			for _, g := range d.Givens {
				node(1, "given", g.Span(), g.Text())
			}
			for _, l := range d.Lines {
				node(1, "line", l.Span(), l.Text())
			}
		case *lang.Prove:
			for _, c := range d.Claims {
				node(1, "claim", c.Span(), c.Text())
			}
		default:
			node(1, "text", h.Span(), h.Text())
		}
	}
	for _, c := range f.Comments {
		node(0, "comment", c.Span, fmt.Sprintf("doc=%v%s", c.Doc, c.Text))
	}
	for _, d := range diags {
		fmt.Fprintf(&b, "%s %s: %s\n", d.Span, d.Code, d.Summary)
	}
	return b.String()
}

// TestFileTooLarge is a row of the codes that no archive can hold.
func TestFileTooLarge(t *testing.T) {
	text := make([]byte, 64<<20+1)
	for i := range text {
		text[i] = ' '
	}
	f, diags := lang.Parse("a.mpol", text)
	if !f.Broken || len(diags) != 1 || diags[0].Code != diag.FileTooLarge {
		t.Errorf("Parse = %v, %v, want file-too-large alone", f.Broken, diags)
	}
}

// TestNesting: deep brackets and long runs of not are errors or fine, never an overflow.
func TestNesting(t *testing.T) {
	const n = 10_000
	for _, tt := range []struct {
		name string
		text string
		want diag.Code
	}{
		{"parentheses", "workload a = " + strings.Repeat("(", n) + "has x" + strings.Repeat(")", n), diag.TooDeep},
		{"open parentheses", "workload a = " + strings.Repeat("(", n), diag.TooDeep},
		{"braces", "policy p for workloads { egress { allow to any on any http " + strings.Repeat("{", n), diag.MissingBrace},
		{"brackets", "workload a = b in " + strings.Repeat("[", n), diag.TooDeep},
		{"not", "workload a = " + strings.Repeat("not ", n) + "has x", ""},
		{"and", "workload a = has x" + strings.Repeat(" and has x", n), ""},
		{"closing braces", "workload a = has x\n" + strings.Repeat("}", n), diag.Syntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, diags := lang.Parse("a.mpol", []byte("package a\n"+tt.text+"\n"))
			var got diag.Code
			if len(diags) > 0 {
				got = diags[0].Code
			}
			if got != tt.want {
				t.Errorf("Parse = %v, want %q first", diags, tt.want)
			}
			if len(diags) > 3 {
				t.Errorf("%d diagnostics, want few", len(diags))
			}
		})
	}
}

// FuzzParse looks for a panic, for spans outside of the text, and for text that is lost: every byte
// that is no white space is in a token of the tree, in a comment, or the file has an error.
func FuzzParse(f *testing.F) {
	examples, err := filepath.Glob("../policies/examples/*/*.mpol")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, path := range []string{"testdata", "check/testdata"} {
		archives, err := filepath.Glob(path + "/*.txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range archives {
			a, err := txtar.ParseFile(p)
			if err != nil {
				f.Fatal(err)
			}
			for _, s := range a.Files {
				f.Add(string(s.Data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, diags := lang.Parse("a.mpol", []byte(text))
		if file.Broken != diags.HasErrors() {
			t.Fatalf("broken: %v, errors: %v", file.Broken, diags.HasErrors())
		}
		for _, d := range diags {
			if s, e := d.Span.Start.Offset, d.Span.End.Offset; s < 0 || e < s || e > len(text) || d.Span.Start.Line < 1 || d.Span.Start.Column < 1 {
				t.Fatalf("%s: span %+v outside of %d bytes", d.Code, d.Span, len(text))
			}
		}
		if !file.Broken {
			lossless(t, file, text)
		}
	})
}

// lossless fails when a byte of the text is in no node and no comment, so that nothing is parsed and
// ignored.
func lossless(t *testing.T, f *lang.File, text string) {
	t.Helper()
	rest := []byte(text)
	copy(rest, strings.Repeat(" ", len(text)-len(strings.TrimPrefix(text, "\ufeff"))))
	blank := func(s diag.Span) {
		for i := s.Start.Offset; i < s.End.Offset; i++ {
			rest[i] = ' '
		}
	}
	heads := func(h *lang.Head) {
		for _, a := range h.Annotations {
			blank(a.Span())
		}
	}
	for _, c := range f.Comments {
		blank(c.Span)
	}
	decls := f.Decls
	if f.Package != nil {
		decls = append([]lang.Decl{f.Package}, decls...)
	}
	for _, d := range decls {
		heads(d.Common())
		switch d := d.(type) {
		case *lang.Policy:
			blank(d.Subject.Span())
			for _, b := range d.Blocks {
				for _, r := range b.Rules {
					heads(&r.Head)
					blank(r.Span())
				}
				for _, r := range b.Resolves {
					blank(r.Span())
				}
			}
			frame(t, rest, d.Span(), policyFrame)
		case *lang.Test:
			blank(lang.SpanOf(d.Name))
			for _, g := range d.Givens {
				blank(g.Span())
			}
			for _, l := range d.Lines {
				blank(l.Span())
			}
			frame(t, rest, d.Span(), testFrame)
		case *lang.Prove:
			blank(lang.SpanOf(d.Name))
			for _, c := range d.Claims {
				blank(c.Span())
			}
			frame(t, rest, d.Span(), proveFrame)
		}
		blank(d.Common().Span())
	}
	if s := strings.TrimSpace(string(rest)); s != "" {
		t.Fatalf("%q is in no declaration", s)
	}
}

// What is left of a policy without its subject and rules, and of a test without its name and lines.
const (
	policyFrame = `^policy \S+ for (in \S+ )?(audit )?\{( (in|e)gress (none|\{ \}))+ \}$`
	testFrame   = `^(todo )?test \{ \}$`
	proveFrame  = `^prove \{ \}$`
)

func frame(t *testing.T, rest []byte, s diag.Span, want string) {
	t.Helper()
	left := string(rest[s.Start.Offset:s.End.Offset])
	left = strings.NewReplacer("{", " { ", "}", " } ").Replace(left)
	if left = strings.Join(strings.Fields(left), " "); !regexp.MustCompile(want).MatchString(left) {
		t.Fatalf("%q is left of a declaration, want %s", left, want)
	}
}
