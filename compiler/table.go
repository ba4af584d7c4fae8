// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// lowerSubjects makes the tables that local workloads need and binds the workloads to them.
func (c *compilation) lowerSubjects() {
	governing := newGoverning(&c.rules)
	scopes := make(map[string]*scope)   // by direction, policies and what "same" asks
	byLabels := make(map[string]*scope) // by direction and labels
	scopeOf := func(w *program.Workload, d program.Direction) *scope {
		labels := d.String() + labelsText(w.Labels)
		if s, ok := byLabels[labels]; ok {
			return s
		}
		ps := reachable(&c.rules, d, governing.of(w.Labels, d))
		if len(ps) == 0 {
			byLabels[labels] = nil
			return nil
		}
		key := fmt.Sprint(d, ps, labelsText(sameLabels(&c.rules, d, ps, w.Labels)))
		if scopes[key] == nil {
			scopes[key] = newScope(&c.rules, d, ps, w.Labels)
			c.scopes = append(c.scopes, scopes[key])
		}
		byLabels[labels] = scopes[key]
		return scopes[key]
	}
	type pair struct{ egress, ingress *scope }
	var pairs []pair
	for i := range c.rules.Inventory.Workloads {
		w := &c.rules.Inventory.Workloads[i]
		if !w.Local() {
			continue
		}
		c.tables.Subjects = append(c.tables.Subjects, program.Bound{
			Workload: w.Name, Interface: w.Interface, Cgroup: w.Cgroup,
		})
		pairs = append(pairs, pair{scopeOf(w, program.Egress), scopeOf(w, program.Ingress)})
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
	for i, p := range pairs {
		c.tables.Subjects[i].Egress, c.tables.Subjects[i].Ingress = number[p.egress], number[p.ingress]
	}
}

// lowerScope fills in the table of s.
func (c *compilation) lowerScope(s *scope) {
	*s.table = program.Table{Key: s.key, Lineage: s.lineage, Direction: s.direction}
	s.classify(c.space)
	c.nameSets(s)
	for i := range s.classes {
		s.table.Classes = append(s.table.Classes, program.Class{Key: s.classes[i].key, Names: i >= s.names})
		s.table.Entries = append(s.table.Entries, s.entries(i)...)
	}
	if s.proxied {
		c.questions(s)
	}
}

// classify folds the identities that the lists of peers do not tell apart.
func (s *scope) classify(sp *space) {
	byKey := make(map[string]class)
	keys := make([]string, len(sp.identities))
	for i := range sp.identities {
		id := &sp.identities[i]
		cl := class{holds: make([]bool, len(s.lists))}
		var texts []string
		for j, ps := range s.lists {
			if cl.holds[j] = id.among(ps); cl.holds[j] {
				texts = append(texts, ps.String())
			}
		}
		cl.key = classKey(texts)
		cl.internet = id.internet() || byKey[cl.key].internet
		byKey[cl.key], keys[i] = cl, cl.key
	}
	number := make(map[string]int)
	for i, k := range sortedKeys(byKey) {
		number[k] = i
		s.classes = append(s.classes, byKey[k])
	}
	s.names = len(s.classes)
	for i, k := range keys {
		s.table.Members = append(s.table.Members, program.Member{Identity: i, Class: number[k]})
	}
}

// maxClassKey is the length from which a class key is cut short, with a hash of the whole.
const maxClassKey = 200

// classKey names a class by the lists of peers that hold for it.
func classKey(lists []string) string {
	text := strings.Join(lists, " & ")
	switch {
	case text == "":
		return "none"
	case len(text) > maxClassKey:
		return strings.ToValidUTF8(text[:maxClassKey], "") + "... " + digest(text)
	}
	return text
}
