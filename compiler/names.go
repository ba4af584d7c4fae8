// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// maxNameSets bounds the combinations of domain peers of one table.
const maxNameSets = 4096

// nameSets adds a class for each combination of name peers that one name may match. It takes too
// many rather than too few: every set of peers of which each two overlap.
func (c *compilation) nameSets(s *scope) {
	if !s.proxied {
		return
	}
	s.table.Names = &program.Names{Peers: slices.Concat([]program.NamePeer{}, s.peers), Sets: []program.NameSet{}}
	overlap := make([][]bool, len(s.peers))
	for i := range s.peers {
		overlap[i] = make([]bool, len(s.peers))
		for j := range s.peers {
			overlap[i][j] = domainsOverlap(&s.peers[i].Domain, &s.peers[j].Domain)
		}
	}
	var sets [][]int
	var grow func(set []int, from int) bool
	grow = func(set []int, from int) bool {
		for i := from; i < len(s.peers); i++ {
			if slices.ContainsFunc(set, func(j int) bool { return !overlap[i][j] }) {
				continue
			}
			next := append(slices.Clone(set), i)
			sets = append(sets, next)
			if len(sets) > maxNameSets || !grow(next, i+1) {
				return false
			}
		}
		return true
	}
	if !grow(nil, 0) {
		c.tooManyNames(s)
		return
	}
	for _, set := range sets {
		keys := make([]string, len(set))
		for i, p := range set {
			keys[i] = s.peers[p].Key
		}
		s.table.Names.Sets = append(s.table.Names.Sets, program.NameSet{Peers: set, Class: len(s.classes)})
		s.classes = append(s.classes, class{key: "name of " + strings.Join(keys, " & "), names: set})
	}
}

func (c *compilation) tooManyNames(s *scope) {
	last := s.rules[0]
	for _, r := range s.rules {
		if len(r.domains) > 0 {
			last = r
		}
	}
	c.diags.Add(diag.Diagnostic{
		Code: CodeNameSets, Span: c.places[last.ID].rule.PeersSpan,
		Summary: fmt.Sprintf("the domain peers of the %s overlap in more than %d combinations", s.lineage, maxNameSets),
		Help:    "join patterns of rules with the same ports in one `domains` name",
	})
}

// domainsOverlap reports whether one name may be in both. What a domain takes away is left aside:
// the answer may be yes where it is no, never the other way round.
func domainsOverlap(a, b *program.Domain) bool {
	for _, p := range a.Patterns {
		for _, q := range b.Patterns {
			if patternsOverlap(p, q) {
				return true
			}
		}
	}
	return false
}

// patternsOverlap reports whether one name may match both patterns.
func patternsOverlap(p, q program.NamePattern) bool {
	a, b := p.Labels(), q.Labels()
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	deepA, deepB := a[0] == "**", b[0] == "**"
	if deepA {
		a = a[1:]
	}
	if deepB {
		b = b[1:]
	}
	switch {
	case !deepA && !deepB && len(a) != len(b),
		deepA && !deepB && len(b) <= len(a),
		deepB && !deepA && len(a) <= len(b):
		return false
	}
	for i := 1; i <= min(len(a), len(b)); i++ {
		if !labelsOverlap(a[len(a)-i], b[len(b)-i]) {
			return false
		}
	}
	return true
}

// labelsOverlap reports whether one label may match both patterns of a label. It fills, from the
// ends, the table of which rest of a overlaps which rest of b.
func labelsOverlap(a, b string) bool {
	var below []bool
	for i := len(a); i >= 0; i-- {
		row := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*':
				row[j] = below[j] || j < len(b) && row[j+1]
			case j < len(b) && b[j] == '*':
				row[j] = row[j+1] || i < len(a) && below[j]
			case i < len(a) && j < len(b):
				row[j] = a[i] == b[j] && below[j+1]
			}
		}
		below = row
	}
	return below[0]
}
