// SPDX-License-Identifier: Apache-2.0

// Package source reads the text of policies from the paths that a user gives: files, folders and
// the standard input.
//
// It does not look at the text: what is wrong inside a file is a diagnostic of package lang. What
// is wrong with a path is an error here, in one sentence.
//
//	files, err := source.Load([]string{"policies/examples/shop"}, nil)
//
// Invariants: the files of a folder come sorted by path; a file comes once, where it was first
// named; its name is the path as it was given, so that it can be pasted back.
package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	extension = ".mpol"
	// stdinPath stands for the standard input, stdinName is the name of its file.
	stdinPath = "-"
	stdinName = "<stdin>"
	// maxBytes is the size that lang refuses, less one: of a larger file one byte more is read, so
	// that lang sees it as too large.
	maxBytes = 64 << 20
)

// File is one file as it was read.
type File struct {
	Name string
	Text []byte
}

// Load reads paths in their order: a file, every .mpol file below a folder, or "-" for stdin. In a
// folder it follows links, and passes over folders whose name begins with a dot and what a file
// .mpolignore names. A folder without .mpol files is an error, and so are a file with another
// extension and two names that only case tells apart.
func Load(paths []string, stdin io.Reader) ([]File, error) {
	var names []string
	seen := map[string]bool{}
	for _, path := range paths {
		found, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if key := identity(name); !seen[key] {
				seen[key] = true
				names = append(names, name)
			}
		}
	}
	if err := clash(names); err != nil {
		return nil, err
	}
	files := make([]File, len(names))
	for i, name := range names {
		var err error
		if files[i], err = read(name, stdin); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// identity is the same for two names of one file.
func identity(name string) string {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if absolute, err := filepath.Abs(name); err == nil {
		return absolute
	}
	return filepath.Clean(name)
}

// expand returns the files that one path stands for.
func expand(path string) ([]string, error) {
	if path == stdinPath {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read policies: %w", err)
	case info.IsDir():
		return walk(path)
	case filepath.Ext(path) != extension:
		return nil, fmt.Errorf("read policies: %s: the name of a policy file ends in %s", path, extension)
	}
	return []string{path}, nil
}

func read(name string, stdin io.Reader) (File, error) {
	if name == stdinPath {
		if stdin == nil {
			return File{}, errors.New("read policies: there is no standard input here")
		}
		return readAll(stdinName, stdin)
	}
	info, err := os.Stat(name) // of a link's target; opening a pipe would wait for a writer
	switch {
	case err != nil:
		return File{}, fmt.Errorf("read policies: %w", err)
	case !info.Mode().IsRegular():
		return File{}, fmt.Errorf("read policies: %s: not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return File{}, fmt.Errorf("read policies: %w", err)
	}
	defer f.Close()
	return readAll(name, f)
}

func readAll(name string, r io.Reader) (File, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return File{}, fmt.Errorf("read policies: %s: %w", name, err)
	}
	return File{Name: name, Text: text}, nil
}
