// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// An archive holds policy.mpol, inventory.json and perhaps limits.json, and what they give:
// program.txt, when there is one, and diagnostics.txt.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input := make(map[string][]byte)
			for _, f := range archive.Files {
				input[f.Name] = f.Data
			}
			text, diags := compileText(t, input["policy.mpol"], input["inventory.json"], input["limits.json"])
			for name, got := range map[string][]byte{"program.txt": text, "diagnostics.txt": diags} {
				if *update {
					setFile(archive, name, got)
				} else if diff := gocmp.Diff(string(input[name]), string(got)); diff != "" {
					t.Errorf("%s (-want +got; rewrite with -update):\n%s", name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func setFile(a *txtar.Archive, name string, data []byte) {
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
	if len(data) > 0 {
		a.Files = append(a.Files, txtar.File{Name: name, Data: data})
	}
	slices.SortStableFunc(a.Files, func(a, b txtar.File) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
}

func rank(name string) int {
	return slices.Index([]string{"policy.mpol", "inventory.json", "limits.json", "diagnostics.txt", "program.txt"}, name)
}

func compileText(t *testing.T, policy, inventory, limits []byte) (text, diagnostics []byte) {
	t.Helper()
	var inv program.Inventory
	if err := json.Unmarshal(inventory, &inv); err != nil {
		t.Fatalf("inventory.json: %v", err)
	}
	var memory compiler.Memory
	if len(limits) > 0 {
		if err := json.Unmarshal(limits, &memory.Limits); err != nil {
			t.Fatalf("limits.json: %v", err)
		}
	}
	file, diags := lang.Parse("policy.mpol", policy)
	m, more := check.Check([]*lang.File{file}, check.Options{})
	if m == nil {
		t.Fatalf("the policy has errors: %v", append(diags, more...))
	}
	p, diags := memory.Compile(m, inv)
	var ds, out bytes.Buffer
	if err := diag.WriteHuman(&ds, diags, func(string) []byte { return policy }, false); err != nil {
		t.Fatal(err)
	}
	if p != nil {
		if err := p.WriteText(&out); err != nil {
			t.Fatal(err)
		}
		if diags.HasErrors() {
			t.Error("a program and an error")
		}
	} else if !diags.HasErrors() {
		t.Error(fmt.Errorf("no program and no error"))
	}
	return out.Bytes(), ds.Bytes()
}
