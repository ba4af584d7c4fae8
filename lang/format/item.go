// SPDX-License-Identifier: Apache-2.0

package format

import (
	"slices"

	"mpol/lang"
)

// item is a declaration, a block, a rule or a line with its annotations.
type item struct {
	notes [][]piece
	body  []piece
}

// first returns the first piece.
func (it item) first() piece {
	if len(it.notes) > 0 {
		return it.notes[0][0]
	}
	return it.body[0]
}

// split returns the items of a file or of what stands in braces. One begins where begins says so, or
// at the first of the annotations before it.
func split(ps []piece, begins func(ps []piece, i int) bool) []item {
	depth := depths(ps)
	var items []item
	for lo := 0; lo < len(ps); {
		var it item
		for lo < len(ps) && ps[lo].text() == "@" {
			hi := lo + 1
			for hi < len(ps) && ps[hi-1].text() != ")" {
				hi++
			}
			it.notes, lo = append(it.notes, ps[lo:hi]), hi
		}
		hi := lo + 1
		for hi < len(ps) && (depth[hi] > 0 || ps[hi].text() != "@" && !begins(ps, hi)) {
			hi++
		}
		if hi = min(hi, len(ps)); hi > lo {
			it.body, lo = ps[lo:hi], hi
		}
		items = append(items, it)
	}
	return items
}

// beginsDecl reports whether a declaration begins at ps[i].
func beginsDecl(ps []piece, i int) bool {
	kinds := []string{
		"package", "import", "workload", "cidrs", "domains", "service", "resolver", "tier", "default", "policy",
		"test", "prove", "todo",
	}
	before := ps[i-1]
	switch {
	case !slices.Contains(kinds, ps[i].text()), before.text() == ".":
		return false
	case ps[i].text() == "default": // tier N order INT default deny
		return i < 4 || ps[i-4].text() != "tier"
	case ps[i].text() == "test":
		return before.text() != "todo"
	}
	return true
}

// beginsBlock reports whether a block of a policy begins at ps[i].
func beginsBlock(ps []piece, i int) bool {
	return ps[i].text() == "ingress" || ps[i].text() == "egress"
}

// beginsRule reports whether a rule begins at ps[i].
func beginsRule(ps []piece, i int) bool {
	before := ps[i-1]
	if lang.IsLabel(*ps[i].token) {
		return true
	}
	return !lang.IsLabel(*before.token) && before.text() != "audit" && before.text() != "." &&
		slices.Contains([]string{"allow", "deny", "pass", "audit", "resolve"}, ps[i].text())
}

// beginsLine reports whether a line of a test or proof begins at ps[i].
func beginsLine(ps []piece, i int) bool {
	return ps[i-1].text() != "." && slices.Contains([]string{"given", "allow", "deny", "never", "always"}, ps[i].text())
}

// members returns the items of a part in braces, each with its comma. Word is what stands before the
// brace: the methods of a request take commas too, and so do the types of a question.
func members(ps []piece, word string) [][]piece {
	var list [][]piece
	depth := depths(ps)
	lo, path, types := 0, false, false
	for i, p := range ps {
		if word == "dns" && p.text() == "types" && i > lo {
			list, lo, types = append(list, ps[lo:i]), i, true
		}
		path = path || lang.IsString(*p.token)
		if p.text() == "," && depth[i] == 0 && (path || word != "http") && !types {
			list, lo, path = append(list, ps[lo:i+1]), i+1, false
		}
	}
	if lo < len(ps) {
		list = append(list, ps[lo:])
	}
	return list
}
