// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"net/netip"
	"slices"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
)

// scope is what the verdict on a flow between two ends can hang on: the rules of the policies that
// select them.
type scope struct {
	rules []*program.Rule
	// from and to are addresses for an end that has none: one in each prefix that rules of the other
	// end tell from others and in which a workload or node may live.
	from, to []netip.Addr
	requests *requests // once asked for
}

// scope returns what a line hangs on for one of its destinations.
func (w *world) scope(from, to check.End) *scope {
	key := [2]string{w.who(from), w.who(to)}
	if s := w.scopes[key]; s != nil {
		return s
	}
	clients, servers := w.policies(key[0]), w.policies(key[1])
	for _, r := range w.resolvers { // questions come before flows
		for _, name := range w.serving(r) {
			servers = append(servers, w.policies(name)...)
		}
	}
	out, in := blocks(clients, program.Egress), blocks(servers, program.Ingress)
	s := &scope{rules: append(rulesOf(out), rulesOf(in)...)}
	s.from = living(compiler.NewSampler(in).Samples(w.taken))
	s.to = living(compiler.NewSampler(out).Samples(slices.Concat(w.taken, s.from)))
	w.scopes[key] = s
	return s
}

// wordHost stands for the host among the names of parties, none of which it can be.
const wordHost = "host"

// who returns the party whose policies count for an end, or host; empty for one that has none.
func (w *world) who(e check.End) string {
	switch {
	case e.Host:
		return wordHost
	case e.Party != "" && !w.parties[e.Party].Outside:
		return e.Party
	}
	return ""
}

// serving returns who of the test is a resolver.
func (w *world) serving(r program.Resolver) []string {
	var out []string
	for _, p := range r.Peers.Include {
		switch p.Kind {
		case program.PeerHost:
			out = append(out, wordHost)
		case program.PeerSelector:
			for i := range w.inv.Workloads {
				if Meets(p.Selector, &w.inv.Workloads[i]) {
					out = append(out, w.inv.Workloads[i].Name)
				}
			}
		}
	}
	return out
}

// policies returns those that select whom who names.
func (w *world) policies(name string) []*program.Policy {
	switch name {
	case "":
		return nil
	case wordHost:
		return w.judge.Policies(nil)
	}
	return w.judge.Policies(&program.Workload{Labels: w.parties[name].Labels})
}

// blocks returns one direction of policies, as rules of their own.
func blocks(policies []*program.Policy, d program.Direction) *program.Rules {
	rules := &program.Rules{Policies: make([]*program.Policy, len(policies))}
	for i, p := range policies {
		one := &program.Policy{Egress: p.Egress}
		if d == program.Ingress {
			one = &program.Policy{Ingress: p.Ingress}
		}
		rules.Policies[i] = one
	}
	return rules
}

// rulesOf returns the rules of policies, in file order of the policies.
func rulesOf(rules *program.Rules) []*program.Rule {
	var out []*program.Rule
	for _, p := range rules.Policies {
		for _, b := range []*program.Block{p.Egress, p.Ingress} {
			if b == nil {
				continue
			}
			for j := range b.Rules {
				out = append(out, &b.Rules[j])
			}
		}
	}
	return out
}

// living are addresses that a workload or node may well have. A verdict that hangs on others, such
// as the address of a metadata service, does not make a line uncertain.
func living(addresses []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(addresses, func(a netip.Addr) bool { return special(a) && !a.IsPrivate() && !shared().Contains(a) })
}

// shared is the block of RFC 6598, private in all but name.
func shared() netip.Prefix { return netip.MustParsePrefix("100.64.0.0/10") }

func special(a netip.Addr) bool {
	return slices.ContainsFunc(program.SpecialPurpose(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// unnamed is a protocol that stands for those that no rule names: one for experiments (RFC 3692).
const unnamed = 253

// protocols returns l4s with each "any" as the protocols that rules may tell apart.
func (s *scope) protocols(l4s []program.L4) []program.L4 {
	if !slices.ContainsFunc(l4s, func(l program.L4) bool { return l.Any }) {
		return l4s
	}
	var out []program.L4
	for _, l := range l4s {
		if !l.Any {
			out = append(out, l)
			continue
		}
		protos := []uint8{program.ProtoTCP, program.ProtoUDP, program.ProtoICMP, program.ProtoICMPv6, unnamed}
		for _, r := range s.rules {
			for _, l := range r.L4 {
				if !l.Any {
					protos = append(protos, l.Proto)
				}
			}
		}
		slices.Sort(protos)
		for _, p := range slices.Compact(protos) {
			out = append(out, program.L4{Proto: p, Last: 0xffff})
		}
	}
	return out
}

// ports returns the first port of l and every other at which what the rules say may change: the
// ports between are alike.
func (s *scope) ports(l program.L4) []uint16 {
	ports := []uint16{l.First}
	if l.First == l.Last {
		return ports
	}
	add := func(p int) {
		if p > int(l.First) && p <= int(l.Last) {
			ports = append(ports, uint16(p))
		}
	}
	cut := func(l4s []program.L4) {
		for _, x := range l4s {
			if x.Proto == l.Proto && !x.Any {
				add(int(x.First))
				add(int(x.Last) + 1)
			}
		}
	}
	add(portDNS)
	add(portDNS + 1)
	for _, r := range s.rules {
		cut(r.L4)
		for i := range r.Resolvers {
			cut(r.Resolvers[i].L4)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// asks returns the requests that the rules may tell apart.
func (s *scope) asks() *requests {
	if s.requests == nil {
		s.requests = newRequests(s.rules)
	}
	return s.requests
}
