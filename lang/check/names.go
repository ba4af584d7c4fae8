// SPDX-License-Identifier: Apache-2.0

package check

import (
	"slices"
	"strings"

	"mpol/compiler/program"
)

// nameSet is patterns of names, sorted by their paths. The zero value is empty.
type nameSet []namePattern

// namePattern is a pattern with its path: its labels from the last one to before the first one with a
// wildcard, each with a dot behind it. Where two patterns have a name in common, one path begins with the
// other. Wild says that the path is not the whole name.
type namePattern struct {
	program.NamePattern
	path string
	wild bool
}

// nameSetOf returns the patterns of domains, what they take away left aside.
func nameSetOf(ds []program.Domain) nameSet {
	var out nameSet
	for _, d := range ds {
		for _, p := range d.Patterns {
			out = append(out, pathOf(p))
		}
	}
	slices.SortFunc(out, func(a, b namePattern) int { return strings.Compare(a.path, b.path) })
	return out
}

func pathOf(p program.NamePattern) namePattern {
	labels := strings.Split(string(p), ".")
	var b strings.Builder
	for i := len(labels) - 1; i >= 0; i-- {
		if strings.Contains(labels[i], "*") {
			return namePattern{p, b.String(), true}
		}
		b.WriteString(labels[i] + ".")
	}
	return namePattern{p, b.String(), false}
}

// meet reports whether a pattern of s and one of t may have a name in common.
func (s nameSet) meet(t nameSet) bool {
	if len(s) > len(t) {
		s, t = t, s
	}
	return slices.ContainsFunc(s, t.has)
}

// has reports whether a pattern of s has a name in common with p.
func (s nameSet) has(p namePattern) bool {
	meets := func(q namePattern) bool { return p.Meets(q.NamePattern) }
	if s.above(p, meets) {
		return true
	}
	if !p.wild {
		return false
	}
	from, _ := s.search(p.path)
	to, _ := s.search(p.path + "\xff")
	return slices.ContainsFunc(s[from:to], meets)
}

// uncovered returns the patterns of which none of s matches every name.
func (s nameSet) uncovered(ps []program.NamePattern) []program.NamePattern {
	return slices.DeleteFunc(slices.Clone(ps), func(p program.NamePattern) bool {
		return s.above(pathOf(p), func(q namePattern) bool { return q.Covers(p) })
	})
}

// above reports whether f holds for a pattern of s with whose path that of p begins.
func (s nameSet) above(p namePattern, f func(namePattern) bool) bool {
	for i := range len(p.path) + 1 {
		if i > 0 && p.path[i-1] != '.' {
			continue
		}
		path := p.path[:i]
		if from, ok := s.search(path); ok {
			to, _ := s.search(path + "\x00")
			if slices.ContainsFunc(s[from:to], f) {
				return true
			}
		}
	}
	return false
}

// search returns where a path stands, or would, and whether it does.
func (s nameSet) search(path string) (int, bool) {
	return slices.BinarySearchFunc(s, path, func(p namePattern, path string) int { return strings.Compare(p.path, path) })
}
