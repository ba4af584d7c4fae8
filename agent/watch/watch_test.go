// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestChanges(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.mpol")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "one")
	w, err := New([]string{dir})
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

func TestNewMissing(t *testing.T) {
	if _, err := New([]string{filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("New of a missing folder: got no error")
	}
}
