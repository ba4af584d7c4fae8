// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// pkg is a package as "go list -json" describes it; paths below the module are without its path.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	Export     string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

// within says whether path is one of the given paths or below one of them.
func within(path string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool {
		return path == top || strings.HasPrefix(path, top+"/")
	})
}

// short is an import path of ours without the module, and whether it is ours.
func short(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, modulePath+"/")
}

// find returns the longest row that fits a package.
func find(path string, table []row) (row, bool) {
	var best row
	found := false
	for _, r := range table {
		top, below := strings.CutSuffix(r.pkg, "/...")
		fits := path == top || below && strings.HasPrefix(path, top+"/")
		if fits && len(r.pkg) > len(best.pkg) {
			best, found = r, true
		}
	}
	return best, found
}

// checkImports compares what packages import with the table.
func checkImports(packages []pkg, table []row) []string {
	var complaints []string
	for _, p := range packages {
		path, _ := short(p.ImportPath)
		r, found := find(path, table)
		if !found {
			complaints = append(complaints, fmt.Sprintf("%s: no row in the import table; add one", path))
			continue
		}
		for _, imported := range p.Imports {
			if reason := forbidden(r, imported, table); reason != "" {
				complaints = append(complaints, fmt.Sprintf("%s imports %s: %s", path, imported, reason))
			}
		}
	}
	return complaints
}

// forbidden says why a package of row r must not import a path, or nothing.
func forbidden(r row, imported string, table []row) string {
	target, ours := short(imported)
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case ours:
		to, found := find(target, table)
		switch {
		case found && to.leaf:
			return "nobody imports it"
		case slices.Contains(testOnly, target) && !slices.Contains(r.ours, target):
			return "it is for tests"
		case !slices.Contains(r.ours, "*") && !allowedOurs(r, target):
			return "not in the row of the import table"
		}
	case strings.Contains(first, "."):
		if !slices.Contains(r.third, "*") && !within(imported, r.third) {
			return "not in the row of the import table"
		}
	case r.pure && within(imported, impure) && !slices.Contains(pureExceptions, imported):
		return "the package is pure: no input, no output"
	}
	return ""
}

// allowedOurs takes an entry of a row for the package itself; for rows with "..." also for what
// lies below it, since these are trees with one owner.
func allowedOurs(r row, target string) bool {
	if slices.Contains(r.ours, target) {
		return true
	}
	top, tree := strings.CutSuffix(r.pkg, "/...")
	return tree && within(target, []string{top})
}
