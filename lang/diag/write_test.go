// SPDX-License-Identifier: Apache-2.0

package diag_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/rogpeppe/go-internal/txtar"

	"mpol/lang/diag"
)

var update = flag.Bool("update", false, "rewrite the golden archives")

const text = "package a\n\tworkload ü = x = web # \x1b[31m\nlast"

func source(file string) []byte {
	if file == "dir/a b.mpol" {
		return []byte(text)
	}
	return nil
}

func list() diag.List {
	span := func(line, from, to, offset, length int) diag.Span {
		return diag.Span{
			File:  "dir/a b.mpol",
			Start: diag.Pos{Line: line, Column: from, Offset: offset},
			End:   diag.Pos{Line: line, Column: to, Offset: offset + length},
		}
	}
	return diag.List{
		{
			Code: diag.Syntax, Span: span(2, 19, 22, 29, 3), Summary: "expected a string, found `web`", Help: `write "web", 100% <so>`,
			Related: []diag.Related{{Span: span(1, 9, 10, 8, 1), Summary: "the package"}},
		},
		{Code: diag.MissingDefault, Severity: diag.Warning, Span: span(3, 5, 5, len(text), 0), Summary: "at the end"},
		{Code: diag.EmptyFile, Span: diag.Span{File: "gone,x:y.mpol", Start: diag.Pos{Line: 1, Column: 1}, End: diag.Pos{Line: 1, Column: 1}}, Summary: "no source"},
		{Code: diag.EmptyFile, Summary: "of no file at all", Help: "say, where", Related: []diag.Related{{Summary: "nor this"}}},
	}
}

// TestWrite compares each format with its section of testdata/formats.txtar.
func TestWrite(t *testing.T) {
	path := filepath.Join("testdata", "formats.txtar")
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"human", func(w io.Writer) error { return diag.WriteHuman(w, list(), source, false) }},
		{"color", func(w io.Writer) error { return diag.WriteHuman(w, list(), source, true) }},
		{"json", func(w io.Writer) error { return diag.WriteJSON(w, list()) }},
		{"sarif", func(w io.Writer) error { return diag.WriteSARIF(w, list()) }},
		{"github", func(w io.Writer) error { return diag.WriteGitHub(w, list()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.write(&b); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == tt.name })
			if *update {
				if i < 0 {
					a.Files = append(a.Files, txtar.File{Name: tt.name})
					i = len(a.Files) - 1
				}
				a.Files[i].Data = b.Bytes()
				return
			}
			if i < 0 {
				t.Fatalf("%s has no section %s", path, tt.name)
			}
			if diff := cmp.Diff(string(a.Files[i].Data), b.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSARIF holds the log against the schema of the standard: another reader's types know each of its
// fields, and what they hold is valid.
func TestSARIF(t *testing.T) {
	for name, l := range map[string]diag.List{"mistakes": list(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := diag.WriteSARIF(&b, l); err != nil {
				t.Fatal(err)
			}
			d := json.NewDecoder(bytes.NewReader(b.Bytes()))
			d.DisallowUnknownFields()
			if err := d.Decode(&sarif.Report{}); err != nil {
				t.Fatalf("%v in\n%s", err, b.String())
			}
			log, err := sarif.FromBytes(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			run := log.Runs[0] // with the standard's defaults, which the reader leaves out
			run.Language, run.Tool.Driver.Language = "en-US", "en-US"
			run.NewlineSequences = []string{"\r\n", "\n"}
			if err := log.Validate(); err != nil {
				t.Errorf("%v in\n%s", err, b.String())
			}
			if got := len(run.Results); got != len(l) {
				t.Errorf("%d results, want %d", got, len(l))
			}
		})
	}
}

func TestSort(t *testing.T) {
	at := func(file string, offset int) diag.Span {
		return diag.Span{File: file, Start: diag.Pos{Line: 1, Column: offset + 1, Offset: offset}}
	}
	l := diag.List{
		{Code: diag.Syntax, Span: at("unlisted", 0)},
		{Code: diag.Syntax, Span: at("a", 5)},
		{Code: diag.Syntax, Span: at("b", 9)},
		{Code: diag.Syntax, Span: at("b", 1)},
		{Code: diag.BadL4, Span: at("b", 1)},
		{Code: diag.Syntax, Span: at("a", 5)},
	}
	l.Sort([]string{"b", "a"})
	var got []string
	for _, d := range l {
		got = append(got, string(d.Code)+" "+d.Span.String())
	}
	want := []string{"bad-l4 b:1:2", "syntax b:1:2", "syntax b:1:10", "syntax a:1:6", "syntax unlisted:1:1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Sort (-want +got):\n%s", diff)
	}
}

func TestHasErrors(t *testing.T) {
	warning, fault := diag.Diagnostic{Severity: diag.Warning}, diag.Diagnostic{}
	for _, tt := range []struct {
		list diag.List
		want bool
	}{
		{nil, false},
		{diag.List{warning}, false},
		{diag.List{warning, fault}, true},
	} {
		if got := tt.list.HasErrors(); got != tt.want {
			t.Errorf("%v.HasErrors() = %v, want %v", tt.list, got, tt.want)
		}
	}
}

func TestCodesAreUnique(t *testing.T) {
	codes := diag.Codes()
	slices.Sort(codes)
	if n := len(slices.Compact(slices.Clone(codes))); n != len(codes) {
		t.Errorf("%d codes, %d of them different", len(codes), n)
	}
}

// TestAddLong: a text as long as a file is shortened, and stays text.
func TestAddLong(t *testing.T) {
	var l diag.List
	l.Add(diag.Diagnostic{Summary: "`" + strings.Repeat("\u4e2d", 100_000) + "` is too long", Help: "write less"})
	l.Add(diag.Diagnostic{Summary: strings.Repeat("x", 1000)})
	got := l[0].Summary
	if len(got) > 1010 || !utf8.ValidString(got) || !strings.HasPrefix(got, "`\u4e2d") || !strings.HasSuffix(got, "\u4e2d` is too long") || !strings.Contains(got, " … ") {
		t.Errorf("the summary is %d bytes: %s", len(got), got)
	}
	if l[0].Help != "write less" || len(l[1].Summary) != 1000 {
		t.Errorf("what is short was changed: %q, %d bytes", l[0].Help, len(l[1].Summary))
	}
}
