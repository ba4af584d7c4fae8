// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"iter"
	"slices"

	"mpol/compiler/program"
)

// pairs finds the rows that lead to profiles, of all pairs of ends whose flows may be handed to the
// proxy of requests. It looks at few others: from each class with such a port it goes to those who are
// of it and to the subjects of its table.
type pairs struct {
	*compilation
	crowds [2]*crowds // as clients and as servers
	// Of the table that is looked at: rows, the halves that do not go together, as they were found, and the
	// tables of the other ends that were asked.
	found map[program.ProfileRow]*profileUse
	mixed []halves
	clash map[halves]bool // the mixed
	met   map[*scope]bool
	full  bool // the rows are more than a node holds
}

// profileUse is what a row leads to. Local holds while every server of the row is behind a device.
type profileUse struct {
	kind  program.L7Kind
	local bool
}

// halves are the verdicts of the two halves of a flow.
type halves struct{ egress, ingress program.Verdict }

// meeting is a client and a server, which are crowds of this node or, nil, somebody else's. The
// classes are -1 where there is none.
type meeting struct {
	client, server                       *crowd
	egressClass, nameClass, ingressClass int
}

// here adds the rows of what a table asks of the other ends of this node.
func (p *pairs) here(s *scope) {
	for _, there := range p.asked(s) {
		p.met[there.crowd.scope] = true
		for _, subjects := range p.crowds[s.direction].of[s] {
			if subjects.v4 != there.crowd.v4 {
				continue
			}
			for _, back := range there.crowd.scope.picks(subjects) {
				m := meeting{there.crowd, subjects, back.class, -1, there.class}
				if s.direction == program.Egress {
					m = meeting{subjects, there.crowd, there.class, -1, back.class}
				}
				if there.meets(back) {
					p.add(m, s.classes[there.class].requests)
				}
			}
		}
	}
}

// asked returns who of the other ends is in classes of s with ports for requests.
func (p *pairs) asked(s *scope) []*pick {
	others := p.crowds[1-s.direction]
	var ps picks
	for _, m := range s.whom {
		for way := range m.id.ends {
			if e := &m.id.ends[way]; e.who != nil {
				ps.add(m.class, e.in[others.direction], e)
			}
		}
	}
	if len(s.classes[0].requests) > 0 {
		for _, c := range others.all {
			s.strangers(c, &ps)
		}
	}
	return ps.all
}

// outside adds the rows of what a table asks of those who are not of this node, and those of its name
// sets.
func (p *pairs) outside(s *scope) {
	for class, ids := range s.byClass(p.space) {
		ports := s.classes[class].requests
		if len(ports) > 0 {
			p.others(s, class, -1, familiesOf(ids, func(id *identity) bool { return id.outside }), ports)
		}
		for name := s.names; name < len(s.classes); name++ {
			if all := slices.Concat(ports, s.classes[name].requests); len(all) > 0 {
				p.others(s, class, name, familiesOf(ids, func(id *identity) bool { return s.opens(&s.classes[name], id) }), all)
			}
		}
	}
}

// others adds the rows of the subjects of a table with a class of others of some families.
func (p *pairs) others(s *scope, class, name int, families [2]bool, ports []uint16) {
	for _, subjects := range p.crowds[s.direction].of[s] {
		m := meeting{server: subjects, egressClass: -1, nameClass: -1, ingressClass: class}
		if s.direction == program.Egress {
			m = meeting{client: subjects, egressClass: class, nameClass: name, ingressClass: -1}
		}
		if families[bit(subjects.v4)] {
			p.add(m, ports)
		}
	}
}

// familiesOf returns whether some of the identities that have a property are of IPv6, and of IPv4.
func familiesOf(ids iter.Seq[*identity], has func(*identity) bool) (found [2]bool) {
	for id := range ids {
		if !found[bit(id.v4())] && has(id) {
			found[bit(id.v4())] = true
			if found[0] && found[1] {
				break
			}
		}
	}
	return found
}

// add adds the rows of a meeting at some ports.
func (p *pairs) add(m meeting, ports []uint16) {
	row := program.ProfileRow{
		Egress: -1, EgressClass: m.egressClass, NameClass: m.nameClass, Ingress: -1, IngressClass: m.ingressClass,
		Looped: m.client != nil && m.client.looped,
	}
	var egress, names, ingress *class
	if m.client != nil && m.client.scope != nil {
		s := m.client.scope
		row.Egress, egress = s.number, &s.classes[m.egressClass]
		if m.nameClass >= 0 {
			names = &s.classes[m.nameClass]
		}
	}
	if m.server != nil && m.server.scope != nil {
		s := m.server.scope
		row.Ingress, ingress = s.number, &s.classes[m.ingressClass]
	}
	for _, row.Port = range ports {
		if p.full {
			return
		}
		out, in := p.says(m.client, egress, row.Port), p.says(m.server, ingress, row.Port)
		if names != nil {
			v := lookup(names.entries, program.ProtoTCP, row.Port)
			if v.Rank%ranksATier != rankAllow {
				continue // it takes no part
			}
			out = merge(out, v)
		}
		if kind := p.redirects(out, in); kind != program.L7None {
			if p.found[row] == nil {
				p.full = len(p.found) == p.limits.ProfileRows
				p.found[row] = &profileUse{kind: kind, local: true}
			}
			p.found[row].local = p.found[row].local && m.server != nil && !m.server.looped
		}
	}
}

// says is the verdict of the half of some ends, by their class of the other ends, nil where they are
// governed by no table.
func (p *pairs) says(who *crowd, cl *class, port uint16) program.Verdict {
	if cl != nil {
		return lookup(cl.entries, program.ProtoTCP, port)
	}
	v := p.tables.Ungoverned
	v.Allow = v.Allow || who == nil
	return v
}

// redirects returns the kind of proxy of requests to which two halves hand a flow, or none.
func (p *pairs) redirects(egress, ingress program.Verdict) program.L7Kind {
	kind := max(egress.L7, ingress.L7)
	switch {
	case !egress.Allow || !ingress.Allow:
	case egress.L7 != program.L7None && ingress.L7 != program.L7None && egress.L7 != ingress.L7:
		if h := (halves{egress, ingress}); !p.clash[h] {
			p.clash[h], p.mixed = true, append(p.mixed, h)
		}
	case kind == program.L7HTTP || kind == program.L7TLS:
		return kind
	}
	return program.L7None
}

// requested returns the ports at which one of the entries of a class has an L7 kind of requests.
func requested(entries []program.Entry) []uint16 {
	var ports []uint16
	for _, e := range entries {
		if e.Proto == program.ProtoTCP && (e.Verdict.L7 == program.L7HTTP || e.Verdict.L7 == program.L7TLS) {
			for p := int(e.First); p <= int(e.Last); p++ {
				ports = append(ports, uint16(p))
			}
		}
	}
	return ports
}

// lookup finds the most exact entry; every class has one for all protocols.
func lookup(entries []program.Entry, proto uint8, port uint16) program.Verdict {
	// The last that begins at or before the port: narrow entries, behind the wide one, do not overlap.
	i, _ := slices.BinarySearchFunc(entries, port, func(e program.Entry, port uint16) int {
		return cmp.Or(cmp.Compare(e.Proto, proto), cmp.Compare(e.First, port), -1)
	})
	if e := entries[i-1]; e.Proto == proto && port <= e.Last {
		return e.Verdict
	}
	wide, ok := slices.BinarySearchFunc(entries, proto, func(e program.Entry, proto uint8) int { return cmp.Compare(e.Proto, proto) })
	if ok {
		return entries[wide].Verdict
	}
	return entries[0].Verdict
}
