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
	var qs []program.Question
	for _, r := range s.rules {
		v := program.Verdict{
			Allow: r.Action == program.Allow, L7: program.L7DNS, Rank: uint8(r.tier*ranksATier + rankDeny),
			Order: uint16(r.order), Log: r.Log, Reject: r.Reject, Rule: r.ID,
		}
		if v.Allow {
			v.Rank += rankAllow
		}
		for _, d := range domains(r.Rule) {
			q := program.Question{Verdict: v, Servers: everywhere(), Domain: d}
			if v.Allow {
				q.Servers, q.Types = resolvers(r.Rule), addressTypes()
			}
			qs = append(qs, q)
		}
		if !s.asked(r) {
			continue
		}
		q := program.Question{Verdict: v, Any: true}
		if r.L7 != nil {
			q.Any, q.Domain, q.Types = false, program.Domain{Patterns: r.L7.DNS}, r.L7.Types
			if v.Allow && len(q.Types) == 0 {
				q.Types = addressTypes()
			}
		}
		for _, servers := range c.servers(s, r) {
			q.Servers = servers
			qs = append(qs, q)
		}
	}
	slices.SortStableFunc(qs, func(a, b program.Question) int {
		return cmp.Or(cmp.Compare(a.Verdict.Rank, b.Verdict.Rank), cmp.Compare(a.Verdict.Order, b.Verdict.Order))
	})
	last := s.fallback
	last.L7 = program.L7DNS
	s.table.Names.Questions = append(qs, program.Question{Verdict: last, Servers: everywhere(), Any: true})
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

func resolvers(r *program.Rule) program.Ranges {
	rs := program.Ranges{Include: []netip.Prefix{}}
	for _, a := range r.Resolvers {
		rs.Include = append(rs.Include, single(a))
	}
	slices.SortFunc(rs.Include, comparePrefixes)
	return rs
}

// servers returns the addresses of r's peers, as ranges whose union they are. An address that
// belongs to r inside of a prefix that does not, inside of one that does, goes to a range of its own.
func (c *compilation) servers(s *scope, r *scopeRule) []program.Ranges {
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
		class := s.table.Members[a.Identity].Class
		n := node{a.Prefix, static(r, &s.classes[class]), around.level}
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
