// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// ignoreName is a file that says what in its folder, and below, is no policy: a pattern a line, "#"
// begins a comment. A pattern with a slash before its end is the path from this folder, another any
// name below; "*", "?" and "[...]" stay within one name, "**" is an error; a slash at the end means
// folders alone. Folders that are ignored are not looked into.
const ignoreName = ".mpolignore"

// ignoreFile is one such file.
type ignoreFile struct {
	folder   string
	patterns []string
}

// readIgnore returns the ignore files that count in a folder.
func readIgnore(folder string, inherited []ignoreFile) ([]ignoreFile, error) {
	name := filepath.Join(folder, ignoreName)
	text, err := readRegular(name)
	if errors.Is(err, fs.ErrNotExist) {
		return inherited, nil
	}
	if err != nil {
		return nil, err
	}
	f := ignoreFile{folder: folder}
	for i, line := range bytes.Split(text, []byte("\n")) {
		pattern, _, _ := strings.Cut(string(line), "#")
		pattern = strings.TrimSpace(pattern)
		if pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil || strings.HasPrefix(pattern, "!") || strings.Contains(pattern, "**") {
			return nil, fmt.Errorf("%s:%d: %q is no pattern: write a name or a path from this folder", name, i+1, pattern)
		}
		f.patterns = append(f.patterns, pattern)
	}
	return append(inherited[:len(inherited):len(inherited)], f), nil
}

// matches reports whether a path below the folder of f is ignored.
func (f ignoreFile) matches(name string, isFolder bool) bool {
	rel, err := filepath.Rel(f.folder, name)
	if err != nil {
		return false
	}
	rel = filepath.ToSlash(rel)
	for _, pattern := range f.patterns {
		pattern, onlyFolders := strings.CutSuffix(pattern, "/")
		if onlyFolders && !isFolder {
			continue
		}
		subject := path.Base(rel)
		if strings.Contains(pattern, "/") {
			subject, pattern = rel, strings.TrimPrefix(pattern, "/")
		}
		if ok, _ := path.Match(pattern, subject); ok { // the pattern was tried when it was read
			return true
		}
	}
	return false
}
