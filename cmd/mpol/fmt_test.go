// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReplaceReadOnly: a file that is closed to its reader is not replaced, though its folder is open.
func TestReplaceReadOnly(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "a.mpol")
	if err := os.WriteFile(name, []byte("old"), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{filepath.Dir(folder), folder} {
		if err := os.Chmod(f, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := asNobody(t, func() error { return replace(name, []byte("new")) }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("replace = %v, want permission denied", err)
	}
	text, err := os.ReadFile(name)
	left, err2 := os.ReadDir(folder)
	if err != nil || err2 != nil || string(text) != "old" || len(left) != 1 {
		t.Errorf("the file holds %q (%v), and the folder %v (%v)", text, err, left, err2)
	}
}

// asNobody calls do on a thread that root's rights over files are taken from.
func asNobody(t *testing.T, do func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return do()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(uid int) {
		if err := unix.Setfsuid(uid); err != nil {
			t.Error(err)
		}
	}
	become(65534)
	defer become(0)
	return do()
}
