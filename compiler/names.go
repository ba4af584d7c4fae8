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
			if p.Meets(q) {
				return true
			}
		}
	}
	return false
}
