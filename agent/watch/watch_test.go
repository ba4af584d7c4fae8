// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"mpol/internal/source"
)

func TestChanges(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "a.mpol")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "one")
	w, err := New(func() []string { return source.Folders([]string{dir}) })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	hints := w.Changes(t.Context())
	sub := filepath.Join(dir, "sub")
	for _, tt := range []struct {
		name   string
		change func()
	}{
		{"write", func() { write(file, "two") }},
		{"replace by rename", func() {
			write(filepath.Join(dir, ".a.swp"), "three")
			if err := os.Rename(filepath.Join(dir, ".a.swp"), file); err != nil {
				t.Fatal(err)
			}
		}},
		{"new folder", func() {
			if err := os.Mkdir(sub, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"link to a folder", func() {
			if err := os.Symlink(elsewhere, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}},
		{"file behind the link", func() { write(filepath.Join(elsewhere, "c.mpol"), "x") }},
		{"file in the new folder", func() { write(filepath.Join(sub, "b.mpol"), "x") }},
		{"remove", func() {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		tt.change()
		select {
		case <-hints:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: no hint", tt.name)
		}
	}
}
