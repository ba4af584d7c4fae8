// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// module lists packages of the module, as the go command's arguments say.
func module(t *testing.T, args ...string) []pkg {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := list(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, complaint := range complaints {
		t.Error(complaint)
	}
}

func TestImports(t *testing.T) {
	report(t, checkImports(module(t, "./..."), importTable))
}

func TestPackages(t *testing.T) {
	for _, p := range module(t, "./...") {
		report(t, checkPackage(p))
	}
}

func TestPure(t *testing.T) {
	for _, p := range module(t, "./...") {
		path, _ := short(p.ImportPath)
		if r, found := find(path, importTable); !found || !r.pure {
			continue
		}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			report(t, checkPure(path+"/"+name, text))
		}
	}
}

func TestFiles(t *testing.T) {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = sources(dir, func(name string, text []byte) {
		seen++
		report(t, checkFile(name, text))
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Error("no source file was found")
	}
}

func TestHalves(t *testing.T) {
	args := []string{"-export", "-deps"}
	for path := range halves {
		args = append(args, "./"+path)
	}
	packages := module(t, args...)
	exports := make(map[string]string)
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	for _, p := range packages {
		path, ours := short(p.ImportPath)
		field := halves[path]
		if !ours || field == "" {
			continue
		}
		complaints, err := checkHalf(p, field, exports)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		report(t, complaints)
	}
}

func TestGenerated(t *testing.T) {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	complaints, err := checkGenerated(os.DirFS(filepath.Join(dir, "bpf")))
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("bpf/%s is missing: run make generate", sumsName)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range complaints {
		t.Errorf("%s: run make generate and commit the result", complaint)
	}
}
