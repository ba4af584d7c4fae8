// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder makes a tree of policy files and makes it the working directory.
func folder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{
		"shop/web.mpol", "shop/sub/db.mpol", "shop/README.md", "shop/.git/old.mpol",
		".hidden/own.mpol", "empty/README.md", "notes.txt", "bad.mpol",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("text of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../bad.mpol", "shop/zlink.mpol"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("pipes", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("pipes/p.mpol", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("broken", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", "broken/gone.mpol"); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	folder(t)
	tests := []struct {
		name  string
		paths []string
		want  []string // names
		err   string
	}{
		{"folder", []string{"shop"}, []string{"shop/sub/db.mpol", "shop/web.mpol", "shop/zlink.mpol"}, ""},
		{"slash at the end", []string{"shop/sub/"}, []string{"shop/sub/db.mpol"}, ""},
		{"as given", []string{"./bad.mpol"}, []string{"./bad.mpol"}, ""},
		{"in order", []string{"bad.mpol", "shop/sub"}, []string{"bad.mpol", "shop/sub/db.mpol"}, ""},
		{"once", []string{"shop/web.mpol", "./shop"}, []string{"shop/web.mpol", "shop/sub/db.mpol", "shop/zlink.mpol"}, ""},
		{"hidden folder by name", []string{".hidden"}, []string{".hidden/own.mpol"}, ""},
		{"standard input", []string{"-"}, []string{"<stdin>"}, ""},
		{"no such path", []string{"nowhere"}, nil, "read policies: stat nowhere: no such file or directory"},
		{"folder without policies", []string{"empty"}, nil, "read policies: empty: no .mpol file in this folder"},
		{"another extension", []string{"notes.txt"}, nil, "read policies: notes.txt: the name of a policy file ends in .mpol"},
		{"pipe", []string{"pipes"}, nil, "read policies: pipes/p.mpol: not a regular file"},
		{"link to nothing", []string{"broken"}, nil, "read policies: stat broken/gone.mpol: no such file or directory"},
		{"good and bad", []string{"shop", "empty"}, nil, "no .mpol file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := Load(tt.paths, strings.NewReader("text"))
			var names []string
			for _, f := range files {
				names = append(names, f.Name)
				if len(f.Text) == 0 {
					t.Errorf("%s has no text", f.Name)
				}
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("Load(%v) (-want +got):\n%s", tt.paths, diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Load(%v) = %v, want %q", tt.paths, err, tt.err)
			}
		})
	}
}

func TestLoadText(t *testing.T) {
	got, err := Load([]string{"-"}, strings.NewReader("package p\xff"))
	if diff := cmp.Diff([]File{{Name: "<stdin>", Text: []byte("package p\xff")}}, got); err != nil || diff != "" {
		t.Errorf("Load(-) = %v (-want +got):\n%s", err, diff)
	}
	if _, err := Load([]string{"-"}, nil); err == nil {
		t.Error("Load(-) without a standard input: no error")
	}
}

// TestLoadUnreadable needs a reader whom permissions bind, which root is not.
func TestLoadUnreadable(t *testing.T) {
	folder(t)
	if err := os.Chmod("shop/sub", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod("shop/sub", 0o755) })
	_, err := Load([]string{"shop"}, nil)
	if os.Geteuid() == 0 {
		if err != nil {
			t.Errorf("Load as root = %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "shop/sub: permission denied") {
		t.Errorf("Load = %v, want permission denied", err)
	}
}
