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
		write(t, map[string]string{name: "text of " + name})
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

// write makes files with the text of each, and their folders.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadLinks(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, map[string]string{"set/..v1/a.mpol": "a", "set/own/b.mpol": "b", "shared/c.mpol": "c"})
	for link, target := range map[string]string{
		"set/..data": "..v1", "set/a.mpol": "..data/a.mpol", // a mounted ConfigMap
		"set/shared": "../shared", "set/again": "../shared", "shared/loop": "../set", "set/own/up": "..",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Load([]string{"set"}, nil)
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"set/a.mpol", "set/again/c.mpol", "set/own/b.mpol"}, names); err != nil || diff != "" {
		t.Errorf("Load(set) = %v (-want +got):\n%s", err, diff)
	}
	want := []string{".", "nowhere", "set", "set/..v1", "set/again", "set/own", "shared"}
	if diff := cmp.Diff(want, Folders([]string{"set", "nowhere/x.mpol"})); diff != "" {
		t.Errorf("Folders(set) (-want +got):\n%s", diff)
	}
}

func TestLoadIgnores(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, map[string]string{
		"p/.mpolignore": "# what is no policy\n\ndraft-*.mpol\nold/ # a folder\n/sub/x.mpol\n",
		"p/a.mpol":      "a", "p/draft-a.mpol": "no", "p/old/b.mpol": "no", "p/sub/x.mpol": "no", "p/sub/sub/x.mpol": "x",
		"p/sub/old.mpol": "old", "p/sub/draft-b.mpol": "no", "p/sub/.mpolignore": "y.mpol\n", "p/sub/y.mpol": "no", "p/y.mpol": "y",
	})
	files, err := Load([]string{"p"}, nil)
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	want := []string{"p/a.mpol", "p/sub/old.mpol", "p/sub/sub/x.mpol", "p/y.mpol"}
	if diff := cmp.Diff(want, names); err != nil || diff != "" {
		t.Errorf("Load(p) = %v (-want +got):\n%s", err, diff)
	}
	if files, err := Load([]string{"p/draft-a.mpol"}, nil); err != nil || len(files) != 1 {
		t.Errorf("Load of an ignored file by its name = %v, %v, want it", files, err)
	}
}

func TestLoadBadIgnores(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"class", "a.mpol\n[\n", `:2: "[" is no pattern`},
		{"taken back", "!a.mpol\n", `:1: "!a.mpol" is no pattern`},
		{"any depth", "**/a.mpol\n", `:1: "**/a.mpol" is no pattern`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, map[string]string{"bad/.mpolignore": tt.text, "bad/b.mpol": "b"})
			if _, err := Load([]string{"bad"}, nil); err == nil || !strings.Contains(err.Error(), "bad/.mpolignore"+tt.want) {
				t.Errorf("Load = %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("pipe", func(t *testing.T) {
		t.Chdir(t.TempDir())
		write(t, map[string]string{"p/a.mpol": "a"})
		if err := syscall.Mkfifo("p/.mpolignore", 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load([]string{"p"}, nil); err == nil || err.Error() != "read policies: p/.mpolignore: not a regular file" {
			t.Errorf("Load = %v, want that the ignore file is none", err)
		}
	})
}

func TestLoadUnshowable(t *testing.T) {
	for _, name := range []string{"a\nb.mpol", "\xff.mpol", "\x1b[2J.mpol", "a\u202eb.mpol", "sub\r/a.mpol"} {
		t.Chdir(t.TempDir())
		write(t, map[string]string{"p/" + name: "a", "p/\u00e9 \u4e2d.mpol": "b"})
		if _, err := Load([]string{"p"}, nil); err == nil || !strings.Contains(err.Error(), "cannot be shown") {
			t.Errorf("Load of %q = %v, want that it cannot be shown", name, err)
		}
		if files, err := Load([]string{"p/\u00e9 \u4e2d.mpol"}, nil); err != nil || len(files) != 1 {
			t.Errorf("Load of the other = %v, %v, want it", files, err)
		}
	}
}

func TestLoadCase(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, map[string]string{"p/Shop.mpol": "a", "p/shop.mpol": "b"})
	if _, err := Load([]string{"p"}, nil); err == nil || !strings.Contains(err.Error(), "differ only in case") {
		t.Errorf("Load of names that only case tells apart = %v", err)
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
