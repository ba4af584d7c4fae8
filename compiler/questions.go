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
		s.ranged = s.ranged || r.list >= 0
		for _, servers := range c.space.rangesOf(s.list(r)) {
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
		s.ranged = true
		v := t.fallback()
		v.L7 = program.L7DNS
		for _, proto := range []uint8{program.ProtoUDP, program.ProtoTCP} {
			var passing []*identity
			for _, r := range t.rules {
				if r.Action == program.Pass && coversPort(r.Rule, proto, portDNS) {
					passing = append(passing, s.list(r).members...)
				}
			}
			for _, servers := range c.space.ranges(passing, false) {
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

// list is that of the peers of r other than domains.
func (s *scope) list(r *scopeRule) *list {
	if r.list < 0 {
		return &list{}
	}
	return s.found[r.list]
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
