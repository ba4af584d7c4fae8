// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"maps"
	"slices"

	"mpol/compiler/program"
)

// ways are what has been found of one table, in the run sought.
type ways struct {
	rows   []way
	mixed  []halves // as they were found
	met    []*scope // tables of the other ends, nil where there were some without
	sought int
}

// way is a row between tables, which may get other numbers.
type way struct {
	program.ProfileRow
	egress, ingress *scope // nil for none
	profileUse
}

// findRows finds every row: those of a table again where something has changed on which they hang. It
// returns false as soon as there are more than a node holds.
func (c *compilation) findRows() (found map[program.ProfileRow]profileUse, fit bool) {
	found = make(map[program.ProfileRow]profileUse)
	mixed := make(map[halves]bool)
	var p *pairs
	for _, s := range c.scopes {
		if !c.knowsWays(s) {
			if p == nil {
				p = c.newPairs()
			}
			p.seek(s)
		}
		for i := range s.ways.rows {
			found[s.ways.rows[i].numbered()] = s.ways.rows[i].profileUse // both its tables say the same
		}
		if len(found) > c.limits.ProfileRows {
			return found, false
		}
		for _, h := range s.ways.mixed {
			if !mixed[h] {
				mixed[h] = true
				c.halvesMixed(h.egress, h.ingress)
			}
		}
	}
	return found, true
}

// knowsWays reports whether what was found of s is still true. It hangs on who is judged by the table and
// by those of the other ends, on their classes, and on the people whom it asks for requests.
func (c *compilation) knowsWays(s *scope) bool {
	last := max(s.sorted, s.settled)
	for _, t := range s.ways.met {
		if t == nil {
			last = max(last, c.ungoverned)
		} else {
			last = max(last, t.sorted, t.settled)
		}
	}
	if c.space.peopled > s.ways.sought {
		last = max(last, c.lastPeopled(s))
	}
	if last > s.ways.sought {
		return false
	}
	s.ways.sought = c.run
	return true
}

// lastPeopled is the run in which the people whom s asks for requests changed last. Everyone may be a
// stranger or, as far as the compiler knows, have a name.
func (c *compilation) lastPeopled(s *scope) int {
	if len(s.classes[0].requests) > 0 || s.names < len(s.classes) {
		return c.space.peopled
	}
	last := 0
	for _, m := range s.whom {
		last = max(last, m.id.peopled)
	}
	return last
}

// numbered is the row with the numbers of the tables now.
func (w *way) numbered() program.ProfileRow {
	row := w.ProfileRow
	if w.egress != nil {
		row.Egress = w.egress.number
	}
	if w.ingress != nil {
		row.Ingress = w.ingress.number
	}
	return row
}

// newPairs looks who is there.
func (c *compilation) newPairs() *pairs {
	p := &pairs{compilation: c}
	for d := range p.crowds {
		p.crowds[d] = gather(c.space, program.Direction(d))
	}
	return p
}

// seek finds the ways of s, or more of them than a node holds.
func (p *pairs) seek(s *scope) {
	s.ways = ways{sought: p.run}
	if !slices.ContainsFunc(s.classes, func(cl class) bool { return len(cl.requests) > 0 }) {
		return
	}
	p.found, p.met = make(map[program.ProfileRow]*profileUse), make(map[*scope]bool)
	p.mixed, p.clash = nil, make(map[halves]bool)
	p.here(s)
	p.outside(s)
	s.ways.rows = make([]way, 0, len(p.found))
	for row, use := range p.found {
		w := way{ProfileRow: row, profileUse: *use}
		if row.Egress >= 0 {
			w.egress = p.scopes[row.Egress]
		}
		if row.Ingress >= 0 {
			w.ingress = p.scopes[row.Ingress]
		}
		s.ways.rows = append(s.ways.rows, w)
	}
	s.ways.mixed, s.ways.met = p.mixed, slices.Collect(maps.Keys(p.met))
}
