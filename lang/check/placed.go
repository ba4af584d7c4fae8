// SPDX-License-Identifier: Apache-2.0

package check

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// placed is a rule where it stands.
type placed struct {
	rule   *Rule
	policy *Policy
	dir    program.Direction
	ports  []program.L4 // one by one, nil when they are many
	place  int          // among all rules of the run, in file order
	facts  *peerFacts   // once they are known

	first, last int     // runs of the memory in which it was there
	sought      bool    // in the last run, what widens it
	widening    *placed // what was found, nil for nothing
}

// peersText is peers as a package writes them: in one run they are the same peers.
type peersText struct{ pkg, text string }

// peerFacts are what peers are, worked out once for all rules that have the same ones.
type peerFacts struct {
	workloads *program.Selector // nil for none
	addresses prefixes          // of world
	names     nameSet           // of the domains
	private   prefixes          // of the domains
	opened    prefixes          // what the domains may open
	host      bool              // the host is among them
	public    bool              // an address of the public space is
	prefix    bool              // a prefix is
	owner     bool              // what may own an address in the prefix of another rule is
}

// audit reports whether the rule only reports.
func (p *placed) audit() bool { return p.rule.Audit || p.policy.Audit }

// place returns the rules without an error of policies, which are in file order, in file order.
func place(ps []*Policy) []*placed {
	var out []*placed
	for _, p := range ps {
		if !p.known {
			continue
		}
		dirs := []program.Direction{program.Egress, program.Ingress}
		if p.Ingress != nil && p.Egress != nil && p.Ingress.Span.Start.Offset < p.Egress.Span.Start.Offset {
			slices.Reverse(dirs)
		}
		for _, dir := range dirs {
			b := p.Egress
			if dir == program.Ingress {
				b = p.Ingress
			}
			if b == nil {
				continue
			}
			out = slices.Grow(out, len(b.Rules))
			room := make([]placed, 0, len(b.Rules))
			for _, r := range b.Rules {
				if r.sound {
					room = append(room, placed{rule: r, policy: p, dir: dir, ports: narrowPorts(r.L4)})
					out = append(out, &room[len(room)-1])
				}
			}
		}
	}
	return out
}

// know works out what the peers of p are.
func (c *checker) know(p *placed) {
	if p.facts != nil {
		return
	}
	p.facts = c.factsOfRule(p.policy.Package, p.rule)
}

// factsOfRule returns what the peers of a rule of a package are.
func (c *checker) factsOfRule(pkg string, r *Rule) *peerFacts {
	key := peersText{pkg, r.PeersText}
	f := c.facts[key]
	if f == nil {
		f = c.factsOf(r.Peers)
		c.facts[key] = f
	}
	return f
}

func (c *checker) factsOf(peers program.Peers) *peerFacts {
	f := &peerFacts{
		workloads: workloadsOf(peers), addresses: c.addresses(peers), host: has(peers, program.PeerHost, program.PeerAny),
		prefix: has(peers, program.PeerPrefix),
		owner:  has(peers, program.PeerAny, program.PeerWorkloads, program.PeerSelector, program.PeerSame, program.PeerHost),
	}
	f.public = f.addresses.meets(c.public)
	var private []netip.Prefix
	var domains []program.Domain
	for _, q := range peers.Include {
		if q.Kind == program.PeerDomain {
			domains = append(domains, *q.Domain)
			private = append(private, q.Domain.Private...)
		}
	}
	f.names = nameSetOf(domains)
	if len(domains) > 0 {
		f.private, f.opened = union(private), c.public
		if len(private) > 0 {
			f.opened = union(append(private, c.public...))
		}
	}
	return f
}

// meet reports whether one flow of one subject can be in both rules. A prefix may hold the address of
// any workload.
func (c *checker) meet(a, b *placed) bool {
	return c.meetSurely(a, b) || c.overlap(a, b) && (c.byAddress(a, b) || c.byAddress(b, a))
}

// meetSurely is meet without what only an inventory could show.
func (c *checker) meetSurely(a, b *placed) bool { return c.overlap(a, b) && c.peersMeet(a, b) }

// overlap reports whether one subject and one port are in both rules.
func (c *checker) overlap(a, b *placed) bool {
	c.compared++
	return a.dir == b.dir && portsMeet(a.rule.L4, b.rule.L4) && c.subjectsMeet(a.policy.Subject, b.policy.Subject)
}

// byAddress reports whether a prefix of a may hold the address of a workload or node of b.
func (c *checker) byAddress(a, b *placed) bool {
	c.know(a)
	c.know(b)
	return a.facts.prefix && b.facts.owner
}

// workloadsBeside returns the workloads among p's peers where the subject is in other's policy too: what
// both say of its labels bounds who has the same value.
func (p *placed) workloadsBeside(other *placed) *program.Selector {
	if p.facts.workloads == nil || !has(p.rule.Peers, program.PeerSame) {
		return p.facts.workloads
	}
	both := &program.Selector{Op: program.OpAnd, Args: []*program.Selector{p.facts.workloads}}
	for _, s := range []*program.Selector{p.policy.Subject.Selector, other.policy.Subject.Selector} {
		if s != nil {
			both.Args = append(both.Args, boundSame(p.rule.Peers, s)...)
		}
	}
	return both
}

// boundSame returns, for each value that peers share with a subject of s, that a workload with the
// subject's value has one that s asks of the subject.
func boundSame(peers program.Peers, s *program.Selector) []*program.Selector {
	if s.Op == program.OpAnd {
		var out []*program.Selector
		for _, a := range s.Args {
			out = append(out, boundSame(peers, a)...)
		}
		return out
	}
	if s.Op != program.OpIn || !slices.ContainsFunc(peers.Include, func(p program.Peer) bool { return p.Kind == program.PeerSame && p.Key == s.Key }) {
		return nil
	}
	return []*program.Selector{{Op: program.OpOr, Args: []*program.Selector{not(sameSelector(s.Key)), s}}}
}

func portsMeet(a, b []program.L4) bool {
	return slices.ContainsFunc(a, func(x program.L4) bool {
		return slices.ContainsFunc(b, func(y program.L4) bool {
			return x.Any || y.Any || x.Proto == y.Proto && x.First <= y.Last && y.First <= x.Last
		})
	})
}

// pair is two selectors, by identity: named workloads share theirs.
type pair struct{ a, b *program.Selector }

func (c *checker) subjectsMeet(a, b program.Subject) bool {
	switch {
	case a.Host || b.Host:
		return a.Host && b.Host
	case a.Selector == nil || b.Selector == nil || a.Selector == b.Selector:
		return true
	}
	key := pair{a.Selector, b.Selector}
	known, ok := c.memory.subjects[key]
	if !ok {
		known = met(a.Selector, b.Selector)
		c.memory.subjects[key] = known
	}
	return known
}

// met reports whether some labels meet every one of ss.
func met(ss ...*program.Selector) bool {
	all := &program.Selector{Op: program.OpAnd, Args: ss}
	return satisfiable(all, nodes(all))
}

// peersMeet reports whether a and b have a peer in common.
func (c *checker) peersMeet(a, b *placed) bool {
	c.know(a)
	c.know(b)
	fa, fb := a.facts, b.facts
	switch {
	case fa.workloads != nil && fb.workloads != nil && met(a.workloadsBeside(b), b.workloadsBeside(a)), fa.host && fb.host:
		return true
	case fa.addresses.meets(fb.addresses), fa.opened.meets(fb.addresses), fa.addresses.meets(fb.opened):
		return true
	}
	return fa.names.meet(fb.names)
}

// sharesName reports whether a name may be among the peers of a and of b.
func (c *checker) sharesName(a, b *placed) bool {
	c.compared++
	c.know(a)
	c.know(b)
	return a.facts.names.meet(b.facts.names)
}

// meets reports whether s and t have an address in common.
func (s prefixes) meets(t prefixes) bool {
	if len(s) > len(t) {
		s, t = t, s
	}
	return slices.ContainsFunc(s, func(p netip.Prefix) bool { return len(t.overlapping(p)) > 0 })
}
