// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// maxNear bounds how many rules are told for one half.
const maxNear = 5

// Near says which rules of a half that denies f would allow it if one thing were different, the nearest
// first: "NAME would allow this on tcp/8080". Each was tried: of a flow that differs from f in this the
// whole program says that the half allows it, by this rule, and what the other half says of it is told
// unless that allows it too. A few are returned at most.
func Near(judge *verdict.Evaluator, f verdict.Flow, d program.Direction) []string {
	n := nearing{judge: judge, flow: f, direction: d, inv: meeting(judge.Rules(), f).Inventory}
	var steps []RuleStep
	for _, step := range Walk(judge, f, d) {
		for _, p := range step.Policies {
			for _, r := range p.Rules {
				n.rules = append(n.rules, r.Rule)
				if !p.Audit && !r.Rule.Audit && !r.Matches && r.Rule.Action == program.Allow {
					steps = append(steps, r)
				}
			}
		}
	}
	slices.SortStableFunc(steps, func(a, b RuleStep) int { return cmp.Compare(a.distance(f), b.distance(f)) })
	var near []string
	for _, r := range steps {
		if text := n.miss(r); text != "" && len(near) < maxNear {
			near = append(near, judge.Rules().Source(r.Rule.ID).Name+" would allow this "+text)
		}
	}
	return near
}

// distance says how far a rule is from a flow that it misses by one thing: a request is nearer than a
// port, a port near by nearer than another, and each of them than a peer.
func (s RuleStep) distance(f verdict.Flow) int {
	const peer = 1 << 20
	switch {
	case s.Content:
		return 0
	case !s.Port:
		return peer
	}
	least := peer - 1
	for _, l := range s.Rule.L4 {
		if l.Proto == f.Proto {
			least = min(least, max(int(l.First)-int(f.Port), int(f.Port)-int(l.Last), 1))
		}
	}
	return least
}

// nearing tries flows that differ from one in one thing.
type nearing struct {
	judge     *verdict.Evaluator
	flow      verdict.Flow
	direction program.Direction
	inv       program.Inventory // the ends of the flow
	rules     []*program.Rule   // of the half
}

// miss says what would have to be different for a rule to allow the flow, or nothing.
func (n *nearing) miss(s RuleStep) string {
	switch {
	case s.Port && !s.Speaks(n.flow.Proto):
		return "" // nobody mistakes a protocol
	case s.Port:
		return n.port(s.Rule)
	case s.Content:
		return n.request(s.Rule)
	case s.Peer:
		return n.peer(s.Rule)
	}
	return ""
}

// open is a thing with which a half allows a flow; left is what the other half says of it.
type open[T any] struct {
	thing T
	left  string
}

// best returns the things with which the whole program allows the flow or, without any, all of them and
// what is left.
func best[T any](all []open[T]) (things []T, left string) {
	whole := slices.ContainsFunc(all, func(o open[T]) bool { return o.left == "" })
	for _, o := range all {
		if whole == (o.left == "") {
			things, left = append(things, o.thing), cmp.Or(left, o.left)
		}
	}
	return things, left
}

// port tries the ports of a rule and, where it wants a request and the flow has none, its requests.
func (n *nearing) port(r *program.Rule) string {
	cuts := scope{rules: n.rules}
	with := ""
	var found []open[program.L4]
	for _, l := range r.L4 {
		if l.Any || l.Proto != n.flow.Proto {
			continue
		}
		for _, p := range cuts.ports(l) {
			f := n.flow
			f.Port = p
			one := open[program.L4]{thing: program.L4{Proto: l.Proto, First: p, Last: p}}
			ok := false
			if bare := f.HTTP == nil && f.TLS == nil && f.Question == nil; bare && r.L7 != nil {
				var text string
				text, one.left = n.requests(r, f)
				ok, with = text != "", cmp.Or(with, text)
			} else {
				one.left, ok = n.allows(r, n.judge, f)
			}
			if ok {
				found = append(found, one)
			}
		}
	}
	ports, left := best(found)
	if len(ports) == 0 {
		return ""
	}
	return "on " + portsText(r.L4, ports, &cuts) + with + left
}

// portsText says single ports as ranges of a list where all that can be told apart in one are among them.
func portsText(list, ports []program.L4, cuts *scope) string {
	var texts []string
	for _, l := range list {
		if l.Any || l.Proto != ports[0].Proto {
			continue
		}
		all := cuts.ports(l)
		some := slices.DeleteFunc(slices.Clone(ports), func(p program.L4) bool { return !l.Contains(p.Proto, p.First) })
		if len(some) == len(all) {
			some = []program.L4{l}
		}
		for _, p := range some {
			texts = append(texts, p.String())
		}
	}
	return strings.Join(texts, ", ")
}

// request tries the requests of a rule.
func (n *nearing) request(r *program.Rule) string {
	text, left := n.requests(r, n.flow)
	return strings.TrimPrefix(text+left, " ")
}

// requests returns those of a rule with which it allows a flow, as " with ...", and what is left.
func (n *nearing) requests(r *program.Rule, f verdict.Flow) (text, left string) {
	var other party
	for _, name := range f.Names {
		other.name = name
	}
	for _, a := range f.Answers {
		other.name = a.Name
	}
	var found []open[*program.L7]
	for _, one := range single(r.L7) {
		only := *r
		only.L7 = one
		for _, q := range witnessRequests(&only, other) {
			if left, ok := n.allows(r, n.judge, q.content().of(f)); ok {
				found = append(found, open[*program.L7]{one, left})
				break
			}
		}
	}
	lines, left := best(found)
	if len(lines) == 0 {
		return "", ""
	}
	all := program.L7{Kind: r.L7.Kind, Types: r.L7.Types, Pinned: r.L7.Pinned}
	for _, l := range lines {
		all.HTTP, all.GRPC, all.DNS = append(all.HTTP, l.HTTP...), append(all.GRPC, l.GRPC...), append(all.DNS, l.DNS...)
		all.SNI, all.SNISets = append(all.SNI, l.SNI...), append(all.SNISets, l.SNISets...)
	}
	return " with " + all.String(), left
}

// peer tries ends that the peers of a rule mean, in the place of the other end: at its address, where
// both are workloads or the host.
func (n *nearing) peer(r *program.Rule) string {
	self, other := ends(n.flow, n.direction)
	subject := party{}
	if w := owner(&n.inv, self); w != nil {
		subject.labels = w.Labels
	}
	var found []open[program.Peer]
	for _, t := range r.Peers.Include {
		one := program.Peers{Include: []program.Peer{t}, Except: r.Peers.Except}
		for _, o := range others(one, subject, n.direction) {
			judge, f, ok := n.instead(other, o)
			if !ok {
				continue
			}
			if left, ok := n.allows(r, judge, f); ok {
				found = append(found, open[program.Peer]{t, left})
			}
		}
	}
	peers, left := best(found)
	if len(peers) == 0 {
		return ""
	}
	word := "to "
	if n.direction == program.Ingress {
		word = "from "
	}
	peers = slices.CompactFunc(peers, func(a, b program.Peer) bool { return a == b })
	return word + program.Peers{Include: peers, Except: r.Peers.Except}.String() + left
}

// address returns that of an end, which for a workload with one need not be stated.
func (n *nearing) address(e verdict.End) netip.Addr {
	if w := owner(&n.inv, e); !e.Addr.IsValid() && w != nil && len(w.Addresses) > 0 {
		return w.Addresses[0]
	}
	return e.Addr
}

// instead returns the flow with a party in the place of its other end, and what judges it; false if
// there can be none.
func (n *nearing) instead(other verdict.End, p party) (*verdict.Evaluator, verdict.Flow, bool) {
	const name = "another"
	addr := n.address(other)
	inv, old := n.inv, owner(&n.inv, other)
	inv.Workloads = slices.DeleteFunc(slices.Clone(inv.Workloads), func(w program.Workload) bool { return old != nil && w.Name == old.Name })
	if old == nil && !addr.IsPrivate() && !slices.Contains(inv.Node, addr) {
		addr = elsewhere(addr)
	}
	end := verdict.End{Addr: addr}
	f := n.flow
	switch {
	case p.host:
		inv.Node = append(slices.Clone(inv.Node), addr)
	case p.outside.IsValid():
		end.Addr = p.outside
	default:
		end.Workload = name
		inv.Workloads = append(inv.Workloads, program.Workload{Name: name, Labels: p.labels, Addresses: []netip.Addr{addr}, Interface: name})
		slices.SortFunc(inv.Workloads, byName)
	}
	if p.name != nil {
		f.Names, f.Answers = []program.Name{p.name}, nil
	}
	if n.direction == program.Egress {
		f.To = end
	} else {
		f.From = end
	}
	return n.judge.With(inv), f, addr.IsValid() && end.Addr.Is4() == addr.Is4()
}

// elsewhere is where a workload may well live, of the family of an address outside.
func elsewhere(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.MustParseAddr("10.0.0.77")
	}
	return netip.MustParseAddr("fd00::77")
}

// allows reports whether a rule decides that the half allows f; left is what the other half says where
// that denies it.
func (n *nearing) allows(r *program.Rule, judge *verdict.Evaluator, f verdict.Flow) (left string, ok bool) {
	v := judge.Decide(f)
	h := half(v, n.direction)
	if !v.Judged() || wholly(v) || v.Reason == verdict.Conflict || !h.Allow || !slices.Contains(h.Matching, r.ID) {
		return "", false
	}
	if v.Action == verdict.Deny {
		left = fmt.Sprintf("; %s would still deny it by %s", v.Half, judge.Rules().Source(v.Rule).Name)
	}
	return left, true
}
