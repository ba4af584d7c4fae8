// SPDX-License-Identifier: Apache-2.0

package number

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func number(t *testing.T, b *Book, kind, key string) uint32 {
	t.Helper()
	n, err := b.Number(kind, key)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func open(t *testing.T, path string) *Book {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBookRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers")
	b := open(t, path)
	first, second := number(t, b, "table", "a\nb"), number(t, b, "table", "c d")
	if first != 1 || second != 2 || number(t, b, "rule", "c d") != 1 || number(t, b, "table", "a\nb") != 1 {
		t.Errorf("numbers: got %d and %d, want 1 and 2, the same again and a count for each kind", first, second)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, path)
	defer b.Close()
	if got := number(t, b, "table", "c d"); got != second {
		t.Errorf("after reopening: got %d, want %d", got, second)
	}
	if key, ok := b.Key("table", 1); !ok || key != "a\nb" {
		t.Errorf("Key(table, 1) = %q, %v", key, ok)
	}
	if got := number(t, b, "table", "new"); got != 3 {
		t.Errorf("a new key after reopening: got %d, want 3", got)
	}
}

func TestBookAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers")
	if err := os.WriteFile(path, []byte("table \"a\"\ntable \"to"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, path)
	if got := number(t, b, "table", "b"); got != 2 {
		t.Errorf("number after a torn line: got %d, want 2", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "table \"a\"\ntable \"b\"\n" {
		t.Errorf("file after a torn line: %q, %v", text, err)
	}
}

// TestBookFullDisk writes a book on a disk that is full for a while.
func TestBookFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=8k"); err != nil {
		t.Fatalf("mount a small disk, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path, filler := filepath.Join(disk, "numbers"), filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, path)
	defer b.Close()
	first := number(t, b, "table", strings.Repeat("a", 4000))
	if n, err := b.Number("table", strings.Repeat("b", 4000)); err == nil {
		t.Fatalf("on a full disk: got number %d", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	second := number(t, b, "table", "c")
	again := open(t, path)
	defer again.Close()
	if got := number(t, again, "table", "c"); got != second || first != 1 || second != 2 {
		t.Errorf("numbers: %d, %d and after reopening %d, want 1, 2, 2", first, second, got)
	}
}

func TestBookDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers")
	if err := os.WriteFile(path, []byte("table a\ntable \"b\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "line 1 is damaged") {
		t.Errorf("Open of a damaged book: got %v", err)
	}
}
