// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

var update = flag.Bool("update", false, "rewrite the golden archives")

// TestGolden runs each archive: its .mpol files, in order, are one program (a file named .quoted is
// a Go string, for bytes that an archive cannot hold); "today" is the day of @expires. The section
// diagnostics is what a user sees, module.json, when it is there, the Module without its spans.
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
			diagnostics, module := run(t, a)
			if *update {
				set(a, "diagnostics", diagnostics, true)
				set(a, "module.json", module, false)
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(section(a, "diagnostics"), diagnostics); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
			if want := section(a, "module.json"); want != "" {
				if diff := cmp.Diff(want, module); diff != "" {
					t.Errorf("module (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func run(t *testing.T, a *txtar.Archive) (diagnostics, module string) {
	t.Helper()
	var (
		files []*lang.File
		names []string
		all   diag.List
		opt   check.Options
	)
	texts := map[string][]byte{}
	for _, f := range a.Files {
		name, quoted := strings.CutSuffix(f.Name, ".quoted")
		switch {
		case f.Name == "today":
			today, err := time.Parse(time.DateOnly, strings.TrimSpace(string(f.Data)))
			if err != nil {
				t.Fatal(err)
			}
			opt.Today = today
		case strings.HasSuffix(name, ".mpol"):
			text := f.Data
			if quoted {
				s, err := strconv.Unquote(strings.TrimSpace(string(f.Data)))
				if err != nil {
					t.Fatal(err)
				}
				text = []byte(s)
			}
			file, diags := lang.Parse(name, text)
			files, names, texts[name] = append(files, file), append(names, name), text
			all = append(all, diags...)
		}
	}
	m, diags := check.Check(files, opt)
	all = append(all, diags...)
	all.Sort(names)
	for _, d := range all {
		if d.Help == "" {
			t.Errorf("%s: %s: %s: there is no help", d.Span, d.Code, d.Summary)
		}
	}
	if (m == nil) != all.HasErrors() {
		t.Errorf("module is nil: %v, errors: %v", m == nil, all.HasErrors())
	}
	var b bytes.Buffer
	if err := diag.WriteHuman(&b, all, func(f string) []byte { return texts[f] }, false); err != nil {
		t.Fatal(err)
	}
	return b.String(), dump(t, m)
}

// dump renders a Module without spans.
func dump(t *testing.T, m *check.Module) string {
	t.Helper()
	if m == nil {
		return ""
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	text, err = json.MarshalIndent(withoutSpans(v), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func withoutSpans(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if k == "span" || strings.HasSuffix(k, "_span") {
				delete(v, k)
			} else {
				v[k] = withoutSpans(v[k])
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutSpans(v[i])
		}
	}
	return v
}

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func set(a *txtar.Archive, name, data string, add bool) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(data)
			return
		}
	}
	if add {
		a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(data)})
	}
}

// TestEveryCodeHasAGolden but for the file that is too large for one, and for what others than the checker
// say.
func TestEveryCodeHasAGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	// See TestFileTooLarge of package lang, TestUnmet, and TestDiagnostics of package compiler.
	seen := []diag.Code{diag.FileTooLarge, diag.Unmet, diag.NotSupported}
	codes := regexp.MustCompile(`: (?:error|warning)\[([a-z0-9-]+)\]: `)
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codes.FindAllStringSubmatch(section(a, "diagnostics"), -1) {
			seen = append(seen, diag.Code(m[1]))
		}
	}
	for _, c := range diag.Codes() {
		if !slices.Contains(seen, c) {
			t.Errorf("no archive in testdata shows %s", c)
		}
	}
}

// goldenInputs returns the .mpol files of all archives that need no quoting.
func goldenInputs(t testing.TB) []string {
	t.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if strings.HasSuffix(f.Name, ".mpol") {
				texts = append(texts, string(f.Data))
			}
		}
	}
	return texts
}
