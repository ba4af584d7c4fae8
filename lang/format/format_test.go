// SPDX-License-Identifier: Apache-2.0

package format_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mpol/lang"
	"mpol/lang/diag"
	"mpol/lang/format"
)

var update = flag.Bool("update", false, "rewrite the golden archives")

// source formats a text that has no errors.
func source(t *testing.T, text string) string {
	t.Helper()
	out, diags, err := format.Source("a.mpol", []byte(text))
	if err != nil || len(diags) > 0 {
		t.Fatalf("Source: %v, %v\n%s", diags, err, text)
	}
	return string(out)
}

// TestGolden formats each archive: in.mpol becomes out.mpol, which stays as it is.
func TestGolden(t *testing.T) {
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
				t.Fatalf("%s: want in.mpol and out.mpol", path)
			}
			got := source(t, string(a.Files[0].Data))
			if *update {
				a.Files[1].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Errorf("formatted (-want +got):\n%s", diff)
			}
			same(t, string(a.Files[0].Data))
		})
	}
}

// TestExamples finds the examples in their canonical form.
func TestExamples(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../policies/examples/*/*.mpol", "../../policies/examples/*/*/*.mpol"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("no examples")
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(source(t, string(text)), string(text)); diff != "" {
			t.Errorf("%s is not formatted; run: mpol fmt policies/examples (-want +got):\n%s", path, diff)
		}
	}
}

func TestErrors(t *testing.T) {
	out, diags, err := format.Source("a.mpol", []byte("package a\n\nworkload web =\n"))
	if out != nil || err != nil || len(diags) != 1 || diags[0].Code != diag.Syntax {
		t.Errorf("Source = %q, %v, %v, want one syntax error and nothing else", out, diags, err)
	}
}

// TestBytes are the texts that an archive cannot hold.
func TestBytes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"byte order mark", "\ufeffpackage a\n", "package a\n"},
		{"carriage returns", "package a # x \r\n\r\n\r\n## y\t\r\ndefault deny\r\n\r\n", "package a # x\n\n## y\ndefault deny\n"},
		{"no line end", "package a", "package a\n"},
		{"tabs", "\tpackage\ta\t#\tx\t\n", "package a #\tx\n"},
		{"empty lines around", "\n\n# a\n\n\npackage a\n\n\n# b\n\n\n", "# a\n\npackage a\n\n# b\n"},
		{"wide characters", "package a\ncidrs b = 10.0.0.0/8 # é\ncidrs long = 10.0.0.0/8 # x\n", "package a\n\ncidrs b    = 10.0.0.0/8 # é\ncidrs long = 10.0.0.0/8 # x\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := source(t, tt.text); got != tt.want {
				t.Errorf("Source(%q) = %q, want %q", tt.text, got, tt.want)
			}
			same(t, tt.text)
		})
	}
}

// TestTokensDecide mixes the white space between tokens anew: the form does not depend on it. A
// comment is left out, for its place does matter.
func TestTokensDecide(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, text := range corpus(t) {
		tokens, _ := lang.Scan("a.mpol", []byte(text))
		write := func(blank func(i int) string) string {
			var b strings.Builder
			for i, tok := range tokens {
				b.WriteString(blank(i))
				b.WriteString(tok.Value)
			}
			return b.String()
		}
		lines := write(func(int) string { return "\n" })
		if _, diags := lang.Parse("a.mpol", []byte(lines)); diags.HasErrors() {
			continue
		}
		want := source(t, lines)
		for range 5 {
			mixed := write(func(i int) string {
				if i+1 < len(tokens) && random.IntN(3) == 0 {
					return []string{"\n", "\n\t", "  "}[random.IntN(3)]
				}
				return " "
			})
			if _, diags := lang.Parse("a.mpol", []byte(mixed)); diags.HasErrors() {
				continue // two declarations on one line may need the line end
			}
			if diff := cmp.Diff(want, source(t, mixed)); diff != "" {
				t.Errorf("from other white space (-want +got):\n%s", diff)
			}
		}
	}
}

// TestCommentsAnywhere puts comments and empty lines between any two tokens: the form keeps them and
// what they belong to.
func TestCommentsAnywhere(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	between := []string{" ", " ", " ", "\n", "\n\n", " # x\n", "\n# x\n", "\n\n## x \n\n", " ## x\n# y\n\n", "\n\n# x\n\n\n# y\n"}
	n := 0
	for _, text := range corpus(t) {
		tokens, _ := lang.Scan("a.mpol", []byte(text))
		for range 8 {
			var b strings.Builder
			for _, tok := range tokens {
				b.WriteString(between[random.IntN(len(between))])
				b.WriteString(tok.Value)
			}
			if _, diags := lang.Parse("a.mpol", []byte(b.String())); !diags.HasErrors() {
				same(t, b.String())
				n++
			}
		}
	}
	if n < 100 {
		t.Errorf("%d texts were tried, want more", n)
	}
}

// TestSame formats every text of the repository that parses.
func TestSame(t *testing.T) {
	n := 0
	for _, text := range corpus(t) {
		if _, diags := lang.Parse("a.mpol", []byte(text)); !diags.HasErrors() {
			same(t, text)
			n++
		}
	}
	if n < 10 {
		t.Errorf("%d texts of the corpus parse; is it found?", n)
	}
}

// FuzzSource looks for a text whose form differs from it in meaning, is not its own form, or does not
// exist though the text parses.
func FuzzSource(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, diags := lang.Parse("a.mpol", []byte(text)); diags.HasErrors() {
			return
		}
		same(t, text)
	})
}

// corpus returns the .mpol files of the examples and of every golden archive.
func corpus(t testing.TB) []string {
	t.Helper()
	var texts []string
	for _, pattern := range []string{"../../policies/examples/*/*.mpol", "../testdata/*.txtar", "../check/testdata/*.txtar", "testdata/*.txtar"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			a := txtar.Parse(text)
			if strings.HasSuffix(path, ".mpol") {
				a.Files = []txtar.File{{Name: path, Data: text}}
			}
			for _, f := range a.Files {
				if strings.HasSuffix(f.Name, ".mpol") && !bytes.Contains(f.Data, []byte("\x00")) {
					texts = append(texts, string(f.Data))
				}
			}
		}
	}
	return texts
}
