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
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
// folder it passes over folders whose name begins with a dot. A folder without .mpol files is an
// error, and so is a file with another extension.
func Load(paths []string, stdin io.Reader) ([]File, error) {
	var files []File
	seen := map[string]bool{}
	for _, path := range paths {
		names, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if seen[filepath.Clean(name)] {
				continue
			}
			seen[filepath.Clean(name)] = true
			f, err := read(name, stdin)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		}
	}
	return files, nil
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

// walk returns the .mpol files below a folder in lexical order.
func walk(folder string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != folder && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case !e.IsDir() && filepath.Ext(path) == extension:
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("read policies: %s: no %s file in this folder", folder, extension)
	}
	return names, nil
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
