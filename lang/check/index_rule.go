// SPDX-License-Identifier: Apache-2.0

package check

import (
	"math"
	"slices"

	"mpol/compiler/program"
)

// maxNarrow bounds the ports of a range that a ruleIndex keeps one by one.
const maxNarrow = 16

// ruleIndex finds rules that share flows with another. Rules are added in file order, all before one is
// looked for. The zero value is empty.
type ruleIndex struct {
	narrow map[portKey]*cell // by each port of rules with few
	wide   [2]cell           // by direction: rules with many ports
	all    [2]cell           // by direction
}

// portKey is one port in one direction.
type portKey struct {
	dir  program.Direction
	port program.L4
}

// cell is rules that may share a port. Its index is made when it is asked and worth it.
type cell struct {
	list  []*placed // in file order
	index *subjectIndex
}

// fewRules is up to how many rules are tried one by one.
const fewRules = 16

// narrowPorts returns the ports of a list one by one, nil when they are many.
func narrowPorts(l4 []program.L4) []program.L4 {
	var out []program.L4
	for _, l := range l4 {
		if l.Any || int(l.Last)-int(l.First) >= maxNarrow {
			return nil
		}
		for port := int(l.First); port <= int(l.Last); port++ {
			out = append(out, program.L4{Proto: l.Proto, First: uint16(port), Last: uint16(port)})
		}
	}
	return out
}

func (x *ruleIndex) add(r *placed) {
	if x.narrow == nil {
		x.narrow = map[portKey]*cell{}
	}
	x.all[r.dir].list = append(x.all[r.dir].list, r)
	if r.ports == nil {
		x.wide[r.dir].list = append(x.wide[r.dir].list, r)
	}
	for _, port := range r.ports {
		key := portKey{r.dir, port}
		at := x.narrow[key]
		if at == nil {
			at = &cell{}
			x.narrow[key] = at
		}
		at.list = append(at.list, r)
	}
}

// mayMeet reports whether some rule of x may share a port with r.
func (x *ruleIndex) mayMeet(r *placed) bool {
	if r.ports == nil {
		return len(x.all[r.dir].list) > 0
	}
	return len(x.wide[r.dir].list) > 0 ||
		slices.ContainsFunc(r.ports, func(port program.L4) bool { return x.narrow[portKey{r.dir, port}] != nil })
}

// cells returns the rules that may share a port with r.
func (x *ruleIndex) cells(r *placed) []*cell {
	if r.ports == nil {
		return []*cell{&x.all[r.dir]}
	}
	out := []*cell{&x.wide[r.dir]}
	for _, port := range r.ports {
		if at := x.narrow[portKey{r.dir, port}]; at != nil {
			out = append(out, at)
		}
	}
	return out
}

// indexed returns the index of the rules of a cell.
func (at *cell) indexed(c *checker) *subjectIndex {
	if at.index == nil {
		at.index = &subjectIndex{}
		for _, r := range at.list {
			c.know(r)
			at.index.group(c, r, "").peers.add(r, r.rule.L4Text)
		}
	}
	return at.index
}

// find returns the first rule in file order that one flow of one subject can be in beside r, nil when
// there is none. What only an inventory could tell apart counts as met.
func (x *ruleIndex) find(c *checker, r *placed) *placed {
	return x.search(c, r, math.MaxInt, true, c.meet)
}

// findSurely is find without what only an inventory could show, and without rules of later tiers.
func (x *ruleIndex) findSurely(c *checker, r *placed) *placed {
	return x.search(c, r, r.policy.Tier, false, c.meetSurely)
}

func (x *ruleIndex) search(c *checker, r *placed, tier int, byAddress bool, meets func(a, b *placed) bool) *placed {
	if !x.mayMeet(r) {
		return nil
	}
	c.know(r)
	s := search{meets: func(o *placed) bool { return o.policy.Tier <= tier && meets(r, o) }}
	for _, at := range x.cells(r) {
		if len(at.list) <= fewRules {
			s.try(at.list)
			continue
		}
		at.indexed(c).each(c, r, &s, func(g *group) {
			if g.first.policy.Tier <= tier {
				g.peers.find(r, byAddress, &s)
			}
		})
	}
	return s.found
}
