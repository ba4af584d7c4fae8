// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// walker collects the policy files below a folder. It follows links to folders, as those of a mounted
// ConfigMap or of a shared policy set, and takes each folder once, so that a loop of links ends.
type walker struct {
	names   []string
	folders []string        // as they were reached
	visited map[string]bool // folders by their real path
}

// Folders returns every folder in which a change can change what Load returns for paths: those that
// it looks into, those of single files and of the files that links lead to, and for a path that is
// not there the nearest folder above in which it can begin to be.
func Folders(paths []string) []string {
	var folders []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			w := walker{visited: map[string]bool{}}
			_ = w.folder(path, nil) // as far as it can be read; Load says what is wrong
			folders = append(folders, w.folders...)
			for _, name := range w.names {
				folders = append(folders, above(name))
			}
			continue
		}
		folders = append(folders, filepath.Dir(path), above(path))
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// above is the folder of the file that a name leads to, or the nearest that there is.
func above(name string) string {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		return filepath.Dir(target)
	}
	for folder := filepath.Dir(name); ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(folder); err == nil || folder == filepath.Dir(folder) {
			return folder
		}
	}
}

// walk returns the .mpol files below a folder in lexical order.
func walk(folder string) ([]string, error) {
	w := walker{visited: map[string]bool{}}
	if err := w.folder(folder, nil); err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	if len(w.names) == 0 {
		return nil, fmt.Errorf("read policies: %s: no %s file in this folder", folder, extension)
	}
	slices.Sort(w.names)
	return w.names, nil
}

// folder takes what is in a folder; inherited are the ignore files above it.
func (w *walker) folder(path string, inherited []ignoreFile) error {
	realPath, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if realPath, err = filepath.Abs(realPath); err != nil {
		return err
	}
	if w.visited[realPath] {
		return nil
	}
	w.visited[realPath] = true
	w.folders = append(w.folders, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	ignored, err := readIgnore(path, inherited)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.entry(filepath.Join(path, e.Name()), e, ignored); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(path string, e fs.DirEntry, ignored []ignoreFile) error {
	isFolder := e.IsDir()
	if e.Type()&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		if err != nil && filepath.Ext(path) == extension {
			return err
		}
		isFolder = err == nil && info.IsDir()
	}
	switch {
	case isFolder && strings.HasPrefix(e.Name(), "."):
	case !isFolder && filepath.Ext(path) != extension:
	case slices.ContainsFunc(ignored, func(f ignoreFile) bool { return f.matches(path, isFolder) }):
	case isFolder:
		return w.folder(path, ignored)
	default:
		w.names = append(w.names, path)
	}
	return nil
}

// clash returns an error for two files whose names only case tells apart: a checkout on a machine
// that folds case would keep one of them, and with it half of the policy.
func clash(names []string) error {
	folded := map[string]string{}
	for _, name := range names {
		key := strings.ToLower(filepath.Clean(name))
		if other, ok := folded[key]; ok && other != name {
			return fmt.Errorf("read policies: %s and %s differ only in case: rename one", other, name)
		}
		folded[key] = name
	}
	return nil
}
