// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
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
const maxWitnesses = 64

// witness looks for a test that rests on a rule: ends that the rule speaks of, a port, a request. What
// it returns has passed.
func (c *coverer) witness(policy int, d program.Direction, r *program.Rule) *Witness {
	if r.Action == program.Pass {
		return nil
	}
	p := c.module.Policies[policy]
	name := c.rules.Source(r.ID).Name
	want := program.Deny
	if r.Action == program.Allow {
		want = program.Allow
	}
	tried := 0
	for _, s := range subjects(p) {
		for _, o := range append(others(r.Peers, s, d), neighbours(blockOf(p, d), r.Peers)...) {
			for _, l4 := range ports(r.L4) {
				for _, request := range witnessRequests(r, o) {
					if tried++; tried > maxWitnesses {
						return nil
					}
					t := attempt{subject: s, other: o, l4: l4, request: request, want: want, d: d}
					if strings.Contains(name, "#") {
						name = ""
					}
					for _, at := range []bool{false, true} {
						t.at = at
						if w := c.try(t, name, r.ID); w != nil {
							return w
						}
					}
				}
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
}

func subjects(p *check.Policy) []party {
	if p.Subject.Host {
		return []party{{host: true}}
	}
	var out []party
	for _, l := range labelings(p.Subject.Selector) {
		out = append(out, party{labels: l})
	}
	return out
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

// neighbours returns the workloads that other rules of a block name, for peers that cover all.
func neighbours(b *check.Block, ps program.Peers) []party {
	wide := func(t program.Peer) bool { return t.Kind == program.PeerAny || t.Kind == program.PeerWorkloads }
	if !slices.ContainsFunc(ps.Include, wide) {
		return nil
	}
	var out []party
	for _, r := range b.Rules {
		for _, t := range r.Peers.Include {
			if t.Kind != program.PeerSelector {
				continue
			}
			for _, l := range labelings(t.Selector) {
				out = append(out, party{labels: l})
			}
		}
	}
	return out
}

func witnessName(p program.NamePattern) program.Name { return program.ParseName(nameOf(p)) }

func ports(l4s []program.L4) []program.L4 {
	var out []program.L4
	for _, l := range l4s {
		if l.Any {
			l = program.L4{Proto: program.ProtoTCP, First: 443}
		}
		if l.First == 0 && (l.Proto == program.ProtoTCP || l.Proto == program.ProtoUDP || l.Proto == program.ProtoSCTP) {
			l.First = 1
		}
		l.Last = l.First
		if l.Proto != program.ProtoTCP && l.Proto != program.ProtoUDP && l.Proto != program.ProtoSCTP &&
			l.Proto != program.ProtoICMP && l.Proto != program.ProtoICMPv6 {
			l.Last = 0xffff
		}
		out = append(out, l)
	}
	return out
}

// attempt is a test that may be a witness.
type attempt struct {
	subject, other party
	l4             program.L4
	request        request
	want           program.Action
	d              program.Direction
	at             bool // asserted of the half alone
}

// test returns the test and how it is written.
func (a attempt) test(by string) (*check.Test, *Witness) {
	t := &check.Test{Name: "witness"}
	w := &Witness{}
	line := check.Assertion{Want: a.want, L4: []program.L4{a.l4}, By: by}
	client, clientText := a.end(t, w, a.from(), "client")
	server, serverText := a.end(t, w, a.to(), "server")
	line.From, line.To = client, []check.End{server}
	w.Line = fmt.Sprintf("%s %s -> %s on %s", a.want, clientText, serverText, a.l4)
	if a.request.fill != nil {
		a.request.fill(&line)
		w.Line += " " + a.request.text
	}
	if by != "" {
		w.Line += " by " + by
	}
	if a.at {
		line.At = &a.d
		w.Line += " at " + a.d.String()
	}
	t.Lines = []check.Assertion{line}
	return t, w
}

func (a attempt) from() party {
	if a.d == program.Egress {
		return a.subject
	}
	return a.other
}

func (a attempt) to() party {
	if a.d == program.Egress {
		return a.other
	}
	return a.subject
}

// end adds what a party needs to be given and returns how a line names it.
func (a attempt) end(t *check.Test, w *Witness, p party, name string) (check.End, string) {
	switch {
	case p.host:
		return check.End{Host: true}, "host"
	case p.name != nil:
		t.Answers = append(t.Answers, check.Answer{Name: p.name, Addresses: []netip.Addr{p.outside}})
		w.Givens = append(w.Givens, fmt.Sprintf("given dns %q = %s", p.name, p.outside))
		return check.End{Name: p.name}, strconv.Quote(p.name.String())
	case p.outside.IsValid():
		return check.End{Addr: p.outside}, p.outside.String()
	}
	t.Parties = append(t.Parties, check.Party{Name: name, Labels: p.labels})
	w.Givens = append(w.Givens, fmt.Sprintf("given %s = %s", name, labelText(p.labels)))
	return check.End{Party: name}, name
}

func labelText(labels []program.Label) string {
	if len(labels) == 0 {
		return "{ }"
	}
	texts := make([]string, len(labels))
	for i, l := range labels {
		key := l.Key
		if strings.ContainsFunc(key, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
			key = strconv.Quote(key)
		}
		texts[i] = fmt.Sprintf("%s = %q", key, l.Value)
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}
