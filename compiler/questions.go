// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// questions lowers what a table says about DNS questions.
func (c *compilation) questions(s *scope) {
	qs := c.defaultQuestions(s)
	for _, r := range s.rules {
		if r.Action == program.Pass {
			continue
		}
		v := program.Verdict{
			Allow: r.Action == program.Allow, L7: program.L7DNS, Rank: uint8(r.tier*ranksATier + rankDeny),
			Order: uint16(r.order), Log: r.Log, Reject: r.Reject, Rule: r.key,
		}
		if v.Allow {
			v.Rank += rankAllow
		}
		for _, d := range domains(r.Rule) {
			q := program.Question{Verdict: v, Servers: everywhere(), Domain: d}
			if v.Allow {
				q.Servers, q.Types = s.resolvers(), addressTypes()
			}
			qs = append(qs, q)
		}
		if !s.asked(r) {
			continue
		}
		q := program.Question{Verdict: v, Any: true, Proto: asksOver(r.Rule)}
		if r.L7 != nil {
			q.Any, q.Domain, q.Types = false, program.Domain{Patterns: r.L7.DNS}, r.L7.Types
			if v.Allow && len(q.Types) == 0 {
				q.Types = addressTypes()
			}
		}
		for _, servers := range c.servers(s, func(cl *class) bool { return static(r, cl) }) {
			q.Servers = servers
			qs = append(qs, q)
		}
	}
	slices.SortStableFunc(qs, func(a, b program.Question) int {
		return cmp.Or(cmp.Compare(a.Verdict.Rank, b.Verdict.Rank), cmp.Compare(a.Verdict.Order, b.Verdict.Order))
	})
	last := s.end
	if !s.passes() {
		last = s.fallback()
	}
	last.L7 = program.L7DNS
	s.table.Names.Questions = append(qs, program.Question{Verdict: last, Servers: everywhere(), Any: true})
}

// defaultQuestions returns the defaults of the tiers from which some questions pass on, for the
// servers of the others.
func (c *compilation) defaultQuestions(s *scope) []program.Question {
	var qs []program.Question
	for i := range s.tiers {
		t := &s.tiers[i]
		if !s.passes() || t.defaults == program.Pass {
			continue
		}
		v := t.fallback()
		v.L7 = program.L7DNS
		for _, proto := range []uint8{program.ProtoUDP, program.ProtoTCP} {
			for _, servers := range c.servers(s, func(cl *class) bool {
				return !slices.ContainsFunc(t.rules, func(r *scopeRule) bool {
					return r.Action == program.Pass && coversPort(r.Rule, proto, portDNS) && static(r, cl)
				})
			}) {
				qs = append(qs, program.Question{Verdict: v, Proto: proto, Servers: servers, Any: true})
			}
		}
	}
	return qs
}

// asksOver returns the one protocol over which r speaks of questions, 0 for both.
func asksOver(r *program.Rule) uint8 {
	udp, tcp := coversPort(r, program.ProtoUDP, portDNS), coversPort(r, program.ProtoTCP, portDNS)
	switch {
	case udp && !tcp:
		return program.ProtoUDP
	case tcp && !udp:
		return program.ProtoTCP
	}
	return 0
}

// asked reports whether r, by its peers other than domains, speaks of questions.
func (s *scope) asked(r *scopeRule) bool {
	return coversPort(r.Rule, program.ProtoUDP, portDNS) || coversPort(r.Rule, program.ProtoTCP, portDNS)
}

func coversPort(r *program.Rule, proto uint8, port uint16) bool {
	return slices.ContainsFunc(r.L4, func(l program.L4) bool { return l.Contains(proto, port) })
}

func addressTypes() []uint16 { return []uint16{typeA, typeAAAA, typeSVCB, typeHTTPS} }

func everywhere() program.Ranges {
	return program.Ranges{Include: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
}

// resolvers are those of the configuration.
func (s *scope) resolvers() program.Ranges {
	rs := program.Ranges{Include: []netip.Prefix{}}
	for _, a := range s.answerers {
		rs.Include = append(rs.Include, single(a))
	}
	slices.SortFunc(rs.Include, comparePrefixes)
	return rs
}

// servers returns the addresses of the classes for which among holds, as ranges whose union they are.
// An address that is among them inside of a prefix that is not, inside of one that is, goes to a range
// of its own.
func (c *compilation) servers(s *scope, among func(*class) bool) []program.Ranges {
	type node struct {
		prefix netip.Prefix
		in     bool
		level  int
	}
	var open []node // the prefixes around the current one
	var levels []program.Ranges
	for _, a := range c.space.addresses {
		for len(open) > 0 && !covers(open[len(open)-1].prefix, a.Prefix) {
			open = open[:len(open)-1]
		}
		around := node{level: -1}
		if len(open) > 0 {
			around = open[len(open)-1]
		}
		n := node{a.Prefix, among(&s.classes[s.table.Class(a.Identity)]), around.level}
		switch {
		case n.in && !around.in:
			n.level++
			if n.level == len(levels) {
				levels = append(levels, program.Ranges{})
			}
			levels[n.level].Include = append(levels[n.level].Include, a.Prefix)
		case !n.in && around.in:
			levels[n.level].Except = append(levels[n.level].Except, a.Prefix)
		}
		open = append(open, n)
	}
	return levels
}
