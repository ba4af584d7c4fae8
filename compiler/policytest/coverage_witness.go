// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/check"
)

// Witness is a test that covers a rule; it was run.
type Witness struct {
	// Givens and Line are the test's text.
	Givens []string
	Line   string
}

// String returns the lines, ready to be pasted into a test block.
func (w *Witness) String() string { return strings.Join(append(slices.Clone(w.Givens), w.Line), "\n") }

// maxWitnesses bounds how many tests are tried for one rule.
const maxWitnesses = 192

// witness looks for a test that rests on a rule: ends that the rule speaks of, a port, a request. What
// it returns has passed.
func (c *coverer) witness(policy int, d program.Direction, r *program.Rule) *Witness {
	if r.Action == program.Pass {
		return nil
	}
	p := c.module.Policies[policy]
	name := c.rules.Source(r.ID).Name
	if strings.Contains(name, "#") {
		name = ""
	}
	want := program.Deny
	if r.Action == program.Allow {
		want = program.Allow
	}
	tried := 0
	for _, s := range subjects(p, r.Peers) {
		all := append(others(r.Peers, s, d), c.neighbours(s, d, r.Peers)...)
		for _, o := range asking(all, r.Resolvers) {
			for _, l4 := range c.ports(r.L4) {
				for _, request := range c.requestsOn(l4, r, o) {
					if tried++; tried > maxWitnesses {
						return nil
					}
					t := attempt{client: c.client, server: c.server, subject: s, other: o, l4: l4, request: request, want: want, d: d}
					if w := c.best(t, name, r.ID); w != nil {
						return w
					}
				}
			}
		}
	}
	return nil
}

// ungiven returns a name for a party, with a number behind it where a test has one of that name.
func ungiven(tests []*check.Test, name string) string {
	for n := 1; ; n++ {
		one := name
		if n > 1 {
			one += strconv.Itoa(n)
		}
		if !slices.ContainsFunc(tests, func(t *check.Test) bool {
			return slices.ContainsFunc(t.Parties, func(p check.Party) bool { return p.Name == one })
		}) {
			return one
		}
	}
}

// best returns the test in the fewest words that passes and rests on a rule: of both halves or of one,
// with addresses where these matter.
func (c *coverer) best(a attempt, by string, id program.RuleID) *Witness {
	for _, a.block = range []string{"", "10.0.77.0/24", "192.168.77.0/24"} {
		for _, a.at = range []bool{false, true} {
			if w := c.try(a, by, id); w != nil {
				return w
			}
		}
	}
	return nil
}

// try runs a test of one line and returns it when it passes and rests on the rule.
func (c *coverer) try(a attempt, by string, id program.RuleID) *Witness {
	test, w := a.test(by)
	for _, r := range c.suite.Run(test) {
		h := half(r.Got, a.d)
		if !r.held() || !h.Exists || h.Allow != (a.want == program.Allow) || !slices.Contains(h.Matching, id) {
			return nil
		}
	}
	return w
}

// party is an end of a witness.
type party struct {
	host    bool
	labels  []program.Label
	outside netip.Addr
	name    program.Name // a DNS name, with an address given for it
	// resolver are the labels of the workload that is asked for the name, nil where none is.
	resolver []program.Label
}

// subjects returns ends that a policy is for, with a label that a peer compares.
func subjects(p *check.Policy, ps program.Peers) []party {
	if p.Subject.Host {
		return []party{{host: true}}
	}
	var out []party
	for _, l := range labelings(p.Subject.Selector) {
		out = append(out, party{labels: l})
		for _, t := range ps.Include {
			if t.Kind == program.PeerSame && !slices.ContainsFunc(l, func(x program.Label) bool { return x.Key == t.Key }) {
				out = append(out, party{labels: append(slices.Clone(l), program.Label{Key: t.Key, Value: "other"})})
			}
		}
	}
	return slices.DeleteFunc(out, func(o party) bool {
		return p.Subject.Selector != nil && !Meets(p.Subject.Selector, &program.Workload{Labels: o.labels})
	})
}

// others returns ends that peers may mean, as seen from a subject.
func others(ps program.Peers, subject party, d program.Direction) []party {
	outside := party{outside: netip.MustParseAddr("198.51.100.77")}
	var out []party
	for _, t := range ps.Include {
		switch t.Kind {
		case program.PeerAny:
			out = append(out, outside, party{labels: []program.Label{}}, party{host: true})
		case program.PeerWorkloads:
			out = append(out, party{labels: []program.Label{}}, party{labels: []program.Label{{Key: "app", Value: "other"}}})
		case program.PeerHost:
			out = append(out, party{host: true})
		case program.PeerWorld, program.PeerInternet:
			out = append(out, outside, party{outside: netip.MustParseAddr("2001:db8:77::77")})
		case program.PeerSelector:
			for _, l := range labelings(t.Selector) {
				out = append(out, party{labels: l})
			}
		case program.PeerPrefix:
			if next := t.Prefix.Addr().Next(); t.Prefix.Contains(next) {
				out = append(out, party{outside: next})
			}
			out = append(out, party{outside: t.Prefix.Addr()})
		case program.PeerDomain:
			for _, p := range t.Domain.Patterns {
				if d == program.Egress {
					out = append(out, party{name: witnessName(p), outside: outside.outside})
				}
			}
		case program.PeerSame:
			for _, l := range subject.labels {
				if l.Key == t.Key {
					out = append(out, party{labels: []program.Label{l}})
				}
			}
		}
	}
	return out
}

// asking returns ends of which each name has, for every workload that may be a resolver of it, one more.
func asking(all []party, resolvers []program.Resolver) []party {
	out := slices.Clone(all)
	for _, o := range all {
		for _, r := range resolvers {
			for _, t := range r.Peers.Include {
				if o.name == nil || t.Kind != program.PeerSelector {
					continue
				}
				for _, l := range labelings(t.Selector) {
					o.resolver = l
					out = append(out, o)
				}
			}
		}
	}
	return out
}

// neighbours returns, for peers that cover many workloads, one like the subject, that with one more label
// of which policies speak, and those that other rules of the direction name.
func (c *coverer) neighbours(subject party, d program.Direction, ps program.Peers) []party {
	var out []party
	wide := func(t program.Peer) bool { return t.Kind == program.PeerAny || t.Kind == program.PeerWorkloads }
	same := func(t program.Peer) bool { return t.Kind == program.PeerSame }
	if !subject.host && slices.ContainsFunc(ps.Include, func(t program.Peer) bool { return wide(t) || same(t) }) {
		out = append(out, subject)
		for _, k := range c.keys {
			if !slices.ContainsFunc(subject.labels, func(l program.Label) bool { return l.Key == k }) {
				more := append(slices.Clone(subject.labels), program.Label{Key: k, Value: "other"})
				out = append(out, party{labels: more})
			}
		}
	}
	if !slices.ContainsFunc(ps.Include, wide) {
		return out
	}
	for _, p := range c.module.Policies {
		if blockOf(p, d) == nil {
			continue
		}
		for _, r := range blockOf(p, d).Rules {
			for _, t := range r.Peers.Include {
				if t.Kind != program.PeerSelector {
					continue
				}
				for _, l := range labelings(t.Selector) {
					out = append(out, party{labels: l})
				}
			}
		}
	}
	return out
}

// keysOf returns the keys of labels of which the subjects and peers of a module speak, sorted.
func keysOf(m *check.Module) []string {
	var out []string
	add := func(s *program.Selector) {
		if s != nil {
			for _, l := range leaves(s) {
				out = append(out, l.Key)
			}
		}
	}
	for _, p := range m.Policies {
		add(p.Subject.Selector)
		for _, d := range []program.Direction{program.Ingress, program.Egress} {
			if b := blockOf(p, d); b != nil {
				for _, r := range b.Rules {
					for _, t := range slices.Concat(r.Peers.Include, r.Peers.Except) {
						add(t.Selector)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func witnessName(p program.NamePattern) program.Name { return program.ParseName(nameOf(p)) }

// ports returns one port, or one type of ICMP, of each of some L4s and, behind them, others at which other
// rules say something else.
func (c *coverer) ports(l4s []program.L4) []program.L4 {
	const most = 8
	cuts := scope{rules: rulesOf(c.rules)}
	var first, more []program.L4
	for _, l := range l4s {
		if l.Any {
			l = program.L4{Proto: program.ProtoTCP, First: 443, Last: 443}
		}
		ported := l.Proto == program.ProtoTCP || l.Proto == program.ProtoUDP || l.Proto == program.ProtoSCTP
		if l.First == 0 && ported {
			l.First = 1
		}
		one := program.L4{Proto: l.Proto, First: l.First, Last: l.First}
		if !ported && l.Proto != program.ProtoICMP && l.Proto != program.ProtoICMPv6 {
			one.Last = 0xffff
		}
		first = append(first, one)
		if ported {
			for _, p := range cuts.ports(l)[1:] {
				more = append(more, program.L4{Proto: l.Proto, First: p, Last: p})
			}
		}
	}
	return append(first, more[:min(len(more), most)]...)
}
