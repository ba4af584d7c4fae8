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
	"strings"
	"unicode"
	"unicode/utf8"
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
// extension, a name that a report cannot show as it is and two names that only case tells apart.
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
	for _, name := range names {
		if !showable(name) {
			return nil, fmt.Errorf("read policies: %q: a name with such characters cannot be shown: rename the file", name)
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

// showable reports whether a name is text of one line that looks like what it is.
func showable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
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
		text, err := readAll(stdin)
		if err != nil {
			return File{}, fmt.Errorf("read policies: %s: %w", stdinName, err)
		}
		return File{Name: stdinName, Text: text}, nil
	}
	text, err := readRegular(name)
	if err != nil {
		return File{}, fmt.Errorf("read policies: %w", err)
	}
	return File{Name: name, Text: text}, nil
}

// readRegular returns the text of a file that can be read to its end, up to one byte more than maxBytes.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name) // of a link's target; opening a pipe would wait for a writer
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s: a folder, not a file", name)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxBytes+1)) }
