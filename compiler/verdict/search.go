// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
)

// portDNS is where a subject with a domain peer or a dns part is asked what it asks.
const portDNS = 53

// search is the search for the verdict of one half: the tiers that can be reached, in ascending
// order, each with the blocks of the policies that govern the subject.
type search struct {
	rules *program.Rules
	flow  Flow
	dir   program.Direction
	peer  peer
	tiers []step
	// proxied: questions of the subject are judged.
	proxied bool
}

type step struct {
	defaults program.Action
	blocks   []*program.Block // in file order
}

func newSearch(rules *program.Rules, d program.Direction, subject, other peer, f Flow) *search {
	s := &search{rules: rules, flow: f, dir: d, peer: other}
	for t, tier := range rules.Tiers {
		st := step{defaults: tier.Default}
		for i := range rules.Policies {
			p := &rules.Policies[i]
			if b := p.Block(d); b != nil && p.Tier == t && governs(p.Subject, subject.workload) {
				st.blocks = append(st.blocks, b)
			}
		}
		if len(st.blocks) == 0 {
			continue
		}
		s.tiers = append(s.tiers, st)
		if tier.Default != program.Pass {
			break // without a rule that passes, no later tier is ever asked
		}
	}
	s.each(func(r *program.Rule) {
		s.proxied = s.proxied || d == program.Egress && (hasDomain(r.Peers) || r.L7 != nil && r.L7.Kind == program.L7DNS)
	})
	return s
}

func (s *search) each(f func(*program.Rule)) {
	for _, t := range s.tiers {
		for _, b := range t.blocks {
			for i := range b.Rules {
				f(&b.Rules[i])
			}
		}
	}
}

// half finds the verdict on the flow or, if c has a kind, on what it holds.
func (s *search) half(c content) Half {
	if len(s.tiers) == 0 {
		return Half{
			Exists: true, Allow: s.rules.Default == program.Allow,
			Rule: s.rules.DefaultRule, Reason: Ungoverned, Matching: []program.RuleID{s.rules.DefaultRule},
		}
	}
	h := s.tier(c)
	h.Exists, h.Governed, h.Rule = true, true, h.Matching[0]
	if !h.Allow {
		return h
	}
	kinds := s.kinds()
	switch {
	case len(kinds) > 1, len(kinds) == 1 && kinds[0] != program.L7DNS && s.torn():
		h.Allow, h.Reason = false, Conflict
	case len(kinds) == 1:
		h.L7 = kinds[0]
	}
	return h
}

// torn reports whether names lead the flow to different L7 rules, so that no one profile is right:
// a name takes part by the domain peers that it matches and that some rule allows the flow's port.
func (s *search) torn() bool {
	var takes []string
	for _, n := range s.peer.names {
		speaks := ""
		s.each(func(r *program.Rule) {
			if r.Action != program.Allow || !s.covers(r) || !named(r.Peers, n) {
				return
			}
			for i, t := range r.Peers.Include {
				if t.Kind == program.PeerDomain && t.Domain.Matches(n) {
					speaks += fmt.Sprint(r.ID, ".", i, " ")
				}
			}
		})
		if speaks != "" && !slices.Contains(takes, speaks) {
			takes = append(takes, speaks)
		}
	}
	return len(takes) > 1
}

// tier goes through the tiers: deny beats allow, allow beats the default.
func (s *search) tier(c content) Half {
	for _, t := range s.tiers {
		for _, a := range []program.Action{program.Deny, program.Allow} {
			if ids := s.matching(t, a, c); len(ids) > 0 {
				return Half{Allow: a == program.Allow, Reason: ByRule, Matching: ids}
			}
		}
		if t.defaults != program.Pass {
			return s.byDefault(t.defaults, t.blocks[0].Default, c)
		}
	}
	return s.byDefault(s.rules.Default, s.rules.DefaultRule, c)
}

func (s *search) byDefault(a program.Action, rule program.RuleID, c content) Half {
	allow := a == program.Allow && (c.question == nil || c.question.Type != typeANY)
	return Half{Allow: allow, Reason: ByDefault, Matching: []program.RuleID{rule}}
}

func (s *search) matching(t step, a program.Action, c content) []program.RuleID {
	var ids []program.RuleID
	for _, b := range t.blocks {
		for i := range b.Rules {
			if r := &b.Rules[i]; r.Action == a && s.matches(r, c) {
				ids = append(ids, r.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// kinds are those that the flow must speak: of every rule with an L7 part that covers it, whatever
// its action.
func (s *search) kinds() []program.L7Kind {
	var kinds []program.L7Kind
	add := func(k program.L7Kind) {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	s.each(func(r *program.Rule) {
		if r.L7 != nil && s.covers(r) && (static(r.Peers, s.peer) || s.opened(r, nil)) {
			add(r.L7.Kind)
		}
	})
	if s.proxied && s.dns() {
		add(program.L7DNS)
	}
	return kinds
}

// matches reports whether r speaks of the flow or, if c has a kind, of what it holds.
func (s *search) matches(r *program.Rule, c content) bool {
	switch {
	case c.kind == program.L7DNS:
		return s.matchesQuestion(r, c)
	case !s.covers(r):
		return s.implied(r)
	case r.Action == program.Deny:
		return static(r.Peers, s.peer) && (r.L7 == nil || c.kind != program.L7None && c.matches(r))
	case c.kind == program.L7None || r.L7 == nil:
		return static(r.Peers, s.peer) || s.opened(r, nil) || s.implied(r)
	}
	return c.matches(r) && (static(r.Peers, s.peer) || s.opened(r, c.name))
}

// matchesQuestion: a domain peer speaks of the questions for its names, an allow to the resolvers
// of the rule, a deny to any server. Every other peer speaks of the server; one that is open by its name
// alone is asked nothing.
func (s *search) matchesQuestion(r *program.Rule, c content) bool {
	q := c.question
	if static(r.Peers, s.peer) && s.covers(r) && c.matches(r) {
		return true
	}
	if !named(r.Peers, q.Name) {
		return false
	}
	return r.Action == program.Deny || s.implied(r) && slices.Contains(addressTypes(), q.Type)
}

// covers reports whether r is about the flow's protocol and port.
func (s *search) covers(r *program.Rule) bool {
	return slices.ContainsFunc(r.L4, func(l program.L4) bool { return l.Contains(s.flow.Proto, s.flow.Port) })
}

// dns reports whether the flow is one of questions.
func (s *search) dns() bool {
	return s.flow.Port == portDNS && (s.flow.Proto == program.ProtoUDP || s.flow.Proto == program.ProtoTCP)
}

// implied reports whether r allows questions to the flow's server because of a domain peer.
func (s *search) implied(r *program.Rule) bool {
	return r.Action == program.Allow && s.dns() && hasDomain(r.Peers) && slices.Contains(r.Resolvers, s.peer.addr)
}

// opened reports whether a learned name is among the domain peers of r; with a host, whether the
// host is of the same peer as well.
func (s *search) opened(r *program.Rule, host *program.Name) bool {
	return r.Action == program.Allow && slices.ContainsFunc(s.peer.names, func(n program.Name) bool {
		if host == nil {
			return named(r.Peers, n)
		}
		return both(r.Peers, n, *host)
	})
}
