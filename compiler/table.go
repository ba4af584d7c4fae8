// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// lowerSubjects makes the tables that local workloads need and binds the workloads to them.
func (c *compilation) lowerSubjects() {
	governing := newGoverning(c.policies)
	scopes := make(map[string]*scope)   // by direction, policies and what "same" asks
	byLabels := make(map[string]*scope) // by direction and labels
	scopeOf := func(w *program.Workload, d program.Direction) *scope {
		labels := d.String() + labelsText(w.Labels)
		if s, ok := byLabels[labels]; ok {
			return s
		}
		ps := reachable(c.rules.Tiers, d, governing.of(w.Labels, d))
		if len(ps) == 0 {
			byLabels[labels] = nil
			return nil
		}
		key := []byte(d.String() + labelsText(sameLabels(d, ps, w.Labels)))
		for _, p := range ps {
			key = binary.AppendUvarint(key, uint64(p.index))
		}
		if scopes[string(key)] == nil {
			scopes[string(key)] = newScope(&c.rules, d, ps, w.Labels)
			c.scopes = append(c.scopes, scopes[string(key)])
		}
		byLabels[labels] = scopes[string(key)]
		return scopes[string(key)]
	}
	var local []*resident
	var pairs [][2]*scope
	for _, w := range c.space.residents {
		if w.Local() {
			local = append(local, w)
			pairs = append(pairs, [2]*scope{scopeOf(w.Workload, program.Egress), scopeOf(w.Workload, program.Ingress)})
		}
	}
	slices.SortFunc(c.scopes, func(a, b *scope) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.lineage, b.lineage))
	})
	c.tables.Tables = make([]program.Table, len(c.scopes))
	number := map[*scope]int{nil: -1}
	for i, s := range c.scopes {
		number[s] = i
		s.table = &c.tables.Tables[i]
		c.lowerScope(s)
	}
	for i, w := range local {
		w.egress, w.ingress = number[pairs[i][program.Egress]], number[pairs[i][program.Ingress]]
		c.tables.Subjects = append(c.tables.Subjects, program.Bound{
			Workload: w.Name, Interface: w.Interface, Cgroup: w.Cgroup, Egress: w.egress, Ingress: w.ingress,
		})
	}
}

// lowerScope fills in the table of s.
func (c *compilation) lowerScope(s *scope) {
	*s.table = program.Table{Key: s.key, Lineage: s.lineage, Direction: s.direction}
	if len(s.rules) > math.MaxUint16 {
		last := s.rules[len(s.rules)-1].place()
		c.diags.Add(diag.Diagnostic{
			Code: CodeTooMany, Span: last.span, Summary: fmt.Sprintf("%d rules speak of one workload, and there may be 65,535", len(s.rules)),
		})
	}
	s.classify(c.space)
	c.nameSets(s)
	for i := range s.classes {
		cl := &s.classes[i]
		s.table.Classes = append(s.table.Classes, program.Class{Key: cl.key, Names: i >= s.names, Entries: s.entries(cl)})
	}
	if s.proxied {
		c.questions(s)
	}
}

// classify folds the identities that the lists of peers do not tell apart.
func (s *scope) classify(sp *space) {
	holding := make(map[*identity][]int) // the lists that hold for an identity
	var strange []int                    // those that hold for a stranger
	for j, ps := range s.lists {
		l := sp.list(s.texts[j], ps)
		if l.strangers {
			strange = append(strange, j)
		}
		for _, id := range l.members {
			holding[id] = append(holding[id], j)
		}
	}
	byLists, byKey := make(map[string]*class), make(map[string]*class)
	var text []byte
	find := func(lists []int) *class {
		text = text[:0]
		for _, j := range lists {
			text = binary.AppendUvarint(text, uint64(j))
		}
		cl := byLists[string(text)]
		if cl == nil {
			cl = s.newClass(lists)
			byLists[string(text)], byKey[cl.key] = cl, cl
		}
		return cl
	}
	first := find(strange)
	of := make(map[*identity]*class)
	for _, id := range sp.identities {
		cl := find(holding[id])
		if cl != first {
			of[id] = cl
		}
	}
	delete(byKey, first.key)
	number := make(map[*class]int)
	s.classes = []class{*first}
	for _, k := range sortedKeys(byKey) {
		number[byKey[k]] = len(s.classes)
		s.classes = append(s.classes, *byKey[k])
	}
	s.names = len(s.classes)
	s.table.Members = make([]program.Member, 0, len(of))
	for _, id := range slices.SortedFunc(maps.Keys(of), func(a, b *identity) int { return cmp.Compare(a.index, b.index) }) {
		s.table.Members = append(s.table.Members, program.Member{Identity: id.index, Class: number[of[id]]})
	}
}

// newClass makes the class for which some lists of peers hold.
func (s *scope) newClass(lists []int) *class {
	cl := &class{key: s.classKey(lists), holds: make([]bool, len(s.lists))}
	for _, j := range lists {
		cl.holds[j] = true
	}
	return cl
}

// maxClassKey is the length from which a class key is cut short, with a hash of the whole.
const maxClassKey = 200

// classKey names a class by the lists of peers that hold for it.
func (s *scope) classKey(lists []int) string {
	texts := make([]string, len(lists))
	for i, j := range lists {
		texts[i] = s.texts[j]
	}
	text := strings.Join(texts, " & ")
	switch {
	case text == "":
		return "none"
	case len(text) > maxClassKey:
		return strings.ToValidUTF8(text[:maxClassKey], "") + "... " + digest(text)
	}
	return text
}
