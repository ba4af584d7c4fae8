// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"iter"
	"slices"

	"mpol/compiler/program"
)

// end is who is alike as an end of flows that a profile may be for: the workloads of this node with
// one identity, behind devices or in cgroups.
type end struct {
	*identity
	who   *resident // one of the workloads, nil where there are none
	alone bool      // it is the only one
	in    [2]*crowd // as clients and as servers
}

// same reports whether both are one workload and nobody else: a flow that is never judged.
func same(a, b *end) bool { return a.alone && b.alone && a.who == b.who }

// crowd is the ends of one family, behind devices or in cgroups, that one table judges as clients or as
// servers.
type crowd struct {
	scope      *scope // nil where they are ungoverned
	v4, looped bool
	ends       []*end // by identity
}

// crowds are those of this node as clients, which egress judges, or as servers.
type crowds struct {
	direction program.Direction
	all       []*crowd
	of        map[*scope][]*crowd
}

// gather makes the crowds of a direction.
func gather(s *space, d program.Direction) *crowds {
	type key struct {
		scope      *scope
		v4, looped bool
	}
	byKey := make(map[key]*crowd)
	cs := &crowds{direction: d, of: make(map[*scope][]*crowd)}
	for _, id := range s.identities {
		for way := range id.ends {
			e := &id.ends[way]
			if e.who == nil {
				continue
			}
			k := key{id.scopes[d], id.v4(), e.who.Cgroup != ""}
			c := byKey[k]
			if c == nil {
				c = &crowd{scope: k.scope, v4: k.v4, looped: k.looped}
				byKey[k], cs.of[k.scope] = c, append(cs.of[k.scope], c)
				cs.all = append(cs.all, c)
			}
			c.ends, e.in[d] = append(c.ends, e), c
		}
	}
	return cs
}

// pick is who of a crowd is in a class of a table. One end stands for all, or two that are not the same.
type pick struct {
	crowd *crowd
	class int // -1 for no table
	ends  []*end
}

// add takes e in where it tells something more.
func (p *pick) add(e *end) {
	if len(p.ends) == 0 || len(p.ends) == 1 && !same(p.ends[0], e) {
		p.ends = append(p.ends, e)
	}
}

// meets reports whether there is a flow between the two that is judged.
func (p *pick) meets(q *pick) bool {
	return len(p.ends) > 1 || len(q.ends) > 1 || !same(p.ends[0], q.ends[0])
}

// picks are those of several classes and crowds.
type picks struct {
	all []*pick
	of  map[pickKey]*pick
}

type pickKey struct {
	crowd *crowd
	class int
}

func (ps *picks) add(class int, c *crowd, e *end) {
	k := pickKey{c, class}
	p := ps.of[k]
	if p == nil {
		p = &pick{crowd: c, class: class}
		if ps.of == nil {
			ps.of = make(map[pickKey]*pick)
		}
		ps.all, ps.of[k] = append(ps.all, p), p
	}
	p.add(e)
}

// picks returns who of a crowd is in which class of s, which may be nil.
func (s *scope) picks(c *crowd) []*pick {
	var ps picks
	switch {
	case s == nil:
		for i := 0; i < len(c.ends) && (i == 0 || len(ps.all[0].ends) < 2); i++ {
			ps.add(-1, c, c.ends[i])
		}
	case len(s.members) > len(c.ends):
		for _, e := range c.ends {
			ps.add(s.table.Class(e.index), c, e)
		}
	default:
		for _, m := range s.members {
			for way := range m.id.ends {
				if e := &m.id.ends[way]; e.who != nil && e.in[1-s.direction] == c {
					ps.add(m.class, c, e)
				}
			}
		}
		s.strangers(c, &ps)
	}
	return ps.all
}

// strangers adds who of a crowd is of the first class of s.
func (s *scope) strangers(c *crowd, ps *picks) {
	for _, e := range c.ends {
		if s.table.Class(e.index) == 0 {
			ps.add(0, c, e)
			if len(ps.of[pickKey{c, 0}].ends) == 2 {
				return
			}
		}
	}
}

// byClass returns the identities of each class of s but those of name sets.
func (s *scope) byClass(sp *space) []iter.Seq[*identity] {
	members := make([][]*identity, s.names)
	for _, m := range s.members {
		members[m.class] = append(members[m.class], m.id)
	}
	out := make([]iter.Seq[*identity], s.names)
	for i := range members {
		out[i] = slices.Values(members[i])
	}
	out[0] = func(yield func(*identity) bool) {
		known := s.members
		for _, id := range sp.identities {
			if len(known) > 0 && known[0].id == id {
				known = known[1:]
			} else if !yield(id) {
				return
			}
		}
	}
	return out
}
