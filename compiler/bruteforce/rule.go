// SPDX-License-Identifier: Apache-2.0

package bruteforce

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

func lines(r *check.Rule) []program.HTTPRequest {
	if r.L7 == nil {
		return nil
	}
	return r.L7.HTTP
}

func onL4(l4 []program.L4, f verdict.Flow) bool {
	for _, l := range l4 {
		if l.Any || l.Proto == f.Proto && f.Port >= l.First && f.Port <= l.Last {
			return true
		}
	}
	return false
}

// askable are the resolvers of a rule to which a flow goes.
func (e *Evaluator) askable(r *check.Rule, subject, other who, f verdict.Flow) []program.Resolver {
	rs := r.Resolvers
	if len(rs) == 0 {
		rs = []program.Resolver{{Node: true}}
	}
	var out []program.Resolver
	for _, s := range rs {
		node := s.Node && slices.Contains(e.Inventory.Resolvers, other.addr) && f.Port == 53 && (f.Proto == 6 || f.Proto == 17)
		if node || !s.Node && onL4(s.L4, f) && e.among(s.Peers, subject, other) {
			out = append(out, s)
		}
	}
	return out
}

// speaks reports whether a rule matches a flow or request.
func (e *Evaluator) speaks(r *check.Rule, subject, other who, f verdict.Flow, q request) bool {
	on, is := onL4(r.L4, f), e.among(r.Peers, subject, other)
	deny := r.Action == program.Deny
	if q.kind == program.L7DNS {
		n, t := f.Question.Name, f.Question.Type
		if on && is && (r.L7 == nil && (r.Action != program.Allow || t != 255) || r.L7 != nil && (r.L7.Kind == q.kind && asksOf(r, n, t) || r.L7.Kind != q.kind && deny)) {
			return true
		}
		if !inPeers(r.Peers, n) {
			return false
		}
		for _, s := range e.askable(r, subject, other, f) {
			if r.Action == program.Allow && slices.Contains([]uint16{1, 28, 64, 65}, t) && believes(s, n) {
				return true
			}
		}
		return deny
	}
	if r.Action == program.Allow && hasDomain(r) && q.kind == program.L7None && len(e.askable(r, subject, other, f)) > 0 {
		return true
	}
	switch {
	case !on:
		return false
	case r.L7 == nil:
		return is || !deny && len(e.doors(r, other, subject, f)) > 0
	case q.kind == program.L7None:
		return !deny && (is || len(e.doors(r, other, subject, f)) > 0)
	case r.L7.Kind != q.kind:
		return deny && is
	case is && !r.L7.Pinned:
		return contains(r, f, q)
	}
	for _, door := range e.doors(r, other, subject, f) {
		host, ok := nameOf(f)
		if !deny && ok && (r.L7.Pinned && like(door.pattern, host) || !r.L7.Pinned && inDomain(door.domain, host) && !taken(r.Peers, host) && contains(r, f, q)) {
			return true
		}
	}
	return false
}

func believes(s program.Resolver, n program.Name) bool {
	return len(s.For) == 0 || slices.ContainsFunc(s.For, func(p program.NamePattern) bool { return like(p, n) })
}

// door is a pattern by which a learned name opens an address.
type door struct {
	pattern program.NamePattern
	domain  *program.Domain
}

func (e *Evaluator) doors(r *check.Rule, other, subject who, f verdict.Flow) (out []door) {
	if r.Action != program.Allow || other.kind != "world" || subject.kind == "" {
		return nil
	}
	answers := slices.Clone(f.Answers)
	for _, n := range f.Names {
		answers = append(answers, verdict.Answer{Name: n})
	}
	rs := r.Resolvers
	if len(rs) == 0 {
		rs = []program.Resolver{{Node: true}}
	}
	for _, p := range r.Peers.Include {
		if p.Kind != program.PeerDomain || !e.public(other) && !slices.ContainsFunc(p.Domain.Private, func(q netip.Prefix) bool { return q.Contains(other.addr) }) {
			continue
		}
		for _, a := range answers {
			from := e.who(a.Server)
			trusted := a.Server == verdict.End{} || slices.ContainsFunc(rs, func(s program.Resolver) bool {
				return believes(s, a.Name) && (s.Node && slices.Contains(e.Inventory.Resolvers, a.Server.Addr) || !s.Node && e.among(s.Peers, subject, from))
			})
			if !trusted || taken(r.Peers, a.Name) || outOfDomain(p.Domain, a.Name) {
				continue
			}
			for _, x := range p.Domain.Patterns {
				if like(x, a.Name) {
					out = append(out, door{x, p.Domain})
				}
			}
			for _, x := range p.Domain.Aliases {
				for _, via := range a.Via {
					if like(x, via) {
						out = append(out, door{x, p.Domain})
					}
				}
			}
		}
	}
	return out
}

func (e *Evaluator) public(w who) bool {
	return w.kind == "world" && !slices.ContainsFunc(program.SpecialPurpose(), func(p netip.Prefix) bool { return p.Contains(w.addr) })
}

func hasDomain(r *check.Rule) bool {
	return slices.ContainsFunc(r.Peers.Include, func(p program.Peer) bool { return p.Kind == program.PeerDomain })
}
