// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// placed is a rule where it stands, with what its peers are, worked out once.
type placed struct {
	rule   *Rule
	policy *Policy
	dir    program.Direction
	ports  []program.L4 // one by one, nil when they are many

	known     bool
	workloads *program.Selector // nil for none
	addresses prefixes          // of world
	domains   []program.Domain
	opened    prefixes // what the domains may open
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
			for _, r := range b.Rules {
				if !r.sound {
					continue
				}
				out = append(out, &placed{rule: r, policy: p, dir: dir, ports: narrowPorts(r.L4)})
			}
		}
	}
	return out
}

// know works out what the peers of p are.
func (c *checker) know(p *placed) {
	if p.known {
		return
	}
	p.known = true
	p.workloads, p.addresses = workloadsOf(p.rule.Peers), c.addresses(p.rule.Peers)
	var private []netip.Prefix
	for _, q := range p.rule.Peers.Include {
		if q.Kind == program.PeerDomain {
			p.domains = append(p.domains, *q.Domain)
			private = append(private, q.Domain.Private...)
		}
	}
	if len(p.domains) > 0 {
		p.opened = c.public
		if len(private) > 0 {
			p.opened = union(append(slices.Clone(private), c.public...))
		}
	}
}

// meet reports whether one flow of one subject can be in both rules. A prefix may hold the address of
// any workload.
func (c *checker) meet(a, b *placed) bool {
	return c.meetSurely(a, b) || c.overlap(a, b) && (byAddress(a, b) || byAddress(b, a))
}

// meetSurely is meet without what only an inventory could show.
func (c *checker) meetSurely(a, b *placed) bool { return c.overlap(a, b) && c.peersMeet(a, b) }

// overlap reports whether one subject and one port are in both rules.
func (c *checker) overlap(a, b *placed) bool {
	return a.dir == b.dir && portsMeet(a.rule.L4, b.rule.L4) && c.subjectsMeet(a.policy.Subject, b.policy.Subject)
}

// byAddress reports whether a prefix of a may hold the address of a workload or node of b.
func byAddress(a, b *placed) bool {
	return has(a.rule.Peers, program.PeerPrefix) &&
		has(b.rule.Peers, program.PeerAny, program.PeerWorkloads, program.PeerSelector, program.PeerSame, program.PeerHost)
}

// workloadsBeside returns the workloads among p's peers where the subject is in other's policy too: what
// both say of its labels bounds who has the same value.
func (p *placed) workloadsBeside(other *placed) *program.Selector {
	if p.workloads == nil || !has(p.rule.Peers, program.PeerSame) {
		return p.workloads
	}
	both := &program.Selector{Op: program.OpAnd, Args: []*program.Selector{p.workloads}}
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
	pa, pb := a.rule.Peers, b.rule.Peers
	ha, hb := has(pa, program.PeerHost, program.PeerAny), has(pb, program.PeerHost, program.PeerAny)
	switch {
	case a.workloads != nil && b.workloads != nil && met(a.workloadsBeside(b), b.workloadsBeside(a)), ha && hb:
		return true
	case a.addresses.meets(b.addresses), a.opened.meets(b.addresses), a.addresses.meets(b.opened):
		return true
	}
	return slices.ContainsFunc(a.domains, func(x program.Domain) bool {
		return slices.ContainsFunc(b.domains, func(y program.Domain) bool { return domainsMeet(x, y) })
	})
}

// domainsMeet reports whether a and b may have a name in common, what they take away left aside.
func domainsMeet(a, b program.Domain) bool {
	return slices.ContainsFunc(a.Patterns, func(x program.NamePattern) bool {
		return slices.ContainsFunc(b.Patterns, func(y program.NamePattern) bool { return x.Meets(y) })
	})
}

// meets reports whether s and t have an address in common.
func (s prefixes) meets(t prefixes) bool {
	if len(s) > len(t) {
		s, t = t, s
	}
	return slices.ContainsFunc(s, func(p netip.Prefix) bool { return len(t.overlapping(p)) > 0 })
}

// maxNarrow bounds the ports of a range that a portIndex keeps one by one.
const maxNarrow = 16

// portIndex finds rules that share a port with another.
type portIndex struct {
	narrow map[program.L4][]*placed
	wide   []*placed
	all    []*placed
}

func newPortIndex() *portIndex { return &portIndex{narrow: map[program.L4][]*placed{}} }

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

func (x *portIndex) add(p *placed) {
	x.all = append(x.all, p)
	for _, l := range p.ports {
		x.narrow[l] = append(x.narrow[l], p)
	}
	if p.ports == nil {
		x.wide = append(x.wide, p)
	}
}

// mayMeet reports whether some rule of x may share a port with p.
func (x *portIndex) mayMeet(p *placed) bool {
	return len(x.wide) > 0 || p.ports == nil && len(x.all) > 0 ||
		slices.ContainsFunc(p.ports, func(l program.L4) bool { return len(x.narrow[l]) > 0 })
}

// find returns the first rule in file order that may share a port with p and for which f holds, nil
// when there is none.
func (x *portIndex) find(p *placed, f func(*placed) bool) *placed {
	lists := [][]*placed{x.wide}
	for _, l := range p.ports {
		lists = append(lists, x.narrow[l])
	}
	if p.ports == nil {
		lists = [][]*placed{x.all}
	}
	var found []*placed
	for _, list := range lists {
		if i := slices.IndexFunc(list, f); i >= 0 {
			found = append(found, list[i])
		}
	}
	if len(found) == 0 {
		return nil
	}
	return slices.MinFunc(found, func(a, b *placed) int {
		return cmp.Or(cmp.Compare(a.rule.Span.File, b.rule.Span.File), cmp.Compare(a.rule.Span.Start.Offset, b.rule.Span.Start.Offset))
	})
}
