// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// The small universe in which programs are drawn: workloads of every kind, addresses in and out of
// every prefix that a rule may name.

func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, t := range texts {
		as = append(as, netip.MustParseAddr(t))
	}
	return as
}

func labels(pairs ...string) []program.Label {
	var ls []program.Label
	for i := 0; i < len(pairs); i += 2 {
		ls = append(ls, program.Label{Key: pairs[i], Value: pairs[i+1]})
	}
	return ls
}

func universe() program.Inventory {
	return program.Inventory{
		Workloads: []program.Workload{
			{Name: "a", Labels: labels("app", "a", "env", "prod"), Addresses: addrs("10.0.0.1", "fd00::1"), Interface: "veth-a"},
			{Name: "b", Labels: labels("app", "b"), Addresses: addrs("10.0.0.2", "fd00::2"), Interface: "veth-b"},
			{Name: "b2", Labels: labels("app", "b"), Addresses: addrs("10.0.0.3"), Interface: "veth-b2"},
			{Name: "c", Labels: labels("app", "a", "role", "db"), Cgroup: "c"},
			{Name: "d", Labels: labels("app", "b"), Cgroup: "d"},
			{Name: "r", Labels: labels("app", "c"), Addresses: addrs("10.0.1.9", "198.51.100.99")},
		},
		Node:      addrs("192.0.2.1", "2001:db8::1"),
		Resolvers: addrs("9.9.9.9", "10.0.0.2", "2620:fe::fe"),
	}
}

func ends() []verdict.End {
	es := []verdict.End{
		{Workload: "c", Addr: netip.MustParseAddr("127.0.0.1")},
		{Workload: "c", Addr: netip.MustParseAddr("2001:db8::1")},
		{Workload: "d", Addr: netip.MustParseAddr("192.0.2.1")},
		{Workload: "d", Addr: netip.MustParseAddr("::1")},
		{Workload: "c", Addr: netip.MustParseAddr("127.0.0.53")},
	}
	for _, a := range addrs(
		"10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3", "10.0.1.9", "198.51.100.99", "192.0.2.1", "127.0.0.1", "127.0.0.53", "::1",
		"198.51.100.4", "198.51.100.7", "203.0.113.9", "10.9.9.9", "169.254.169.254", "9.9.9.9", "2001:db8:1::1", "2620:fe::fe",
	) {
		es = append(es, verdict.End{Addr: a})
	}
	return es
}

// point is a protocol and port at which flows are tried.
type point struct {
	proto uint8
	port  uint16
}

func points() []point {
	return []point{
		{program.ProtoTCP, 22},
		{program.ProtoTCP, 53},
		{program.ProtoTCP, 80},
		{program.ProtoTCP, 81},
		{program.ProtoTCP, 82},
		{program.ProtoTCP, 443},
		{program.ProtoTCP, 8080},
		{program.ProtoTCP, 65535},
		{program.ProtoUDP, 53},
		{program.ProtoUDP, 54},
		{program.ProtoICMP, 8 << 8},
		{program.ProtoICMP, 3<<8 | 4},
		{47, 0},
		{program.ProtoSCTP, 80},
	}
}

// learned are what a client may have been answered about an address; the first answers of nobody
// known are believed of every resolver.
func learned() [][]verdict.Answer {
	node := verdict.End{Addr: netip.MustParseAddr("9.9.9.9")}
	answer := func(name string, via ...string) verdict.Answer {
		return verdict.Answer{Name: program.ParseName(name), Via: names(via...), Server: node}
	}
	by := func(a verdict.Answer, server string) verdict.Answer {
		a.Server.Addr = netip.MustParseAddr(server)
		return a
	}
	svc := by(answer("a.example.com"), "127.0.0.53")
	svc.Server.Workload = "c"
	return [][]verdict.Answer{
		nil,
		{answer("a.example.com")},
		{answer("b.example.com")},
		{answer("api-1.example.com")},
		{answer("x.y.example.com", "c.example.net")},
		{answer("x.example.net", "c.example.net", "a.example.com")},
		{answer("other.test")},
		{answer("other.test", "a.example.com")},
		{by(answer("a.example.com"), "203.0.113.53")},
		{by(answer("a.example.com"), "198.51.100.4")},
		{by(answer("x.example.net"), "198.51.100.4")},
		{by(answer("b.example.com"), "198.51.100.7")},
		{by(answer("b.example.com"), "10.0.0.3")},
		{by(answer("other.test", "a.example.com"), "192.0.2.1")},
		{svc},
		{svc, by(answer("a.example.com"), "192.0.2.1"), answer("b.example.com")},
		{answer("a.example.com"), answer("x.example.net")},
		{answer("a.example.com"), answer("b.example.com")},
		{answer("b.example.com"), answer("api-1.example.com"), answer("other.test", "x.example.net")},
	}
}

func tcp(first, last uint16) program.L4 {
	return program.L4{Proto: program.ProtoTCP, First: first, Last: last}
}

func drawPeer(t *rapid.T) program.Peer {
	selectors := []*program.Selector{
		{Op: program.OpIn, Key: "app", Values: []string{"a"}},
		{Op: program.OpIn, Key: "app", Values: []string{"b", "c"}},
		{Op: program.OpHas, Key: "role"},
		{Op: program.OpNot, Args: []*program.Selector{{Op: program.OpIn, Key: "env", Values: []string{"prod"}}}},
		{Op: program.OpAnd, Args: []*program.Selector{
			{Op: program.OpIn, Key: "app", Values: []string{"a"}}, {Op: program.OpNot, Args: []*program.Selector{{Op: program.OpHas, Key: "role"}}},
		}},
		{Op: program.OpOr, Args: []*program.Selector{{Op: program.OpHas, Key: "env"}, {Op: program.OpIn, Key: "app", Values: []string{"b"}}}},
	}
	prefixes := []string{
		"0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "198.51.100.0/24", "198.51.100.4/32", "203.0.113.0/24",
		"9.9.9.9/32", "127.0.0.53/32", "192.0.2.0/24", "169.254.169.254/32", "2001:db8::/32", "2001:db8:1::/48", "fd00::/8", "128.0.0.0/1",
	}
	p := program.Peer{Kind: rapid.SampledFrom([]program.PeerKind{
		program.PeerAny, program.PeerWorkloads, program.PeerHost, program.PeerWorld, program.PeerInternet, program.PeerSame,
		program.PeerSelector, program.PeerSelector, program.PeerPrefix, program.PeerPrefix, program.PeerPrefix,
	}).Draw(t, "peer")}
	switch p.Kind {
	case program.PeerSelector:
		p.Selector = rapid.SampledFrom(selectors).Draw(t, "selector")
	case program.PeerSame:
		p.Key = rapid.SampledFrom([]string{"app", "env"}).Draw(t, "same")
	case program.PeerPrefix:
		p.Prefix = netip.MustParsePrefix(rapid.SampledFrom(prefixes).Draw(t, "prefix"))
	}
	return p
}

func drawDomain(t *rapid.T) program.Peer {
	patterns := []program.NamePattern{
		"a.example.com", "b.example.com", "*.example.com", "**.example.com", "api-*.example.com", "a*.example.com", "x.example.net", "*.example.net",
	}
	d := &program.Domain{Patterns: []program.NamePattern{rapid.SampledFrom(patterns).Draw(t, "pattern")}}
	switch rapid.IntRange(0, 8).Draw(t, "domain") {
	case 0:
		d.Patterns = append(d.Patterns, rapid.SampledFrom(patterns).Draw(t, "pattern"))
	case 1:
		d.Except = []program.NamePattern{rapid.SampledFrom(patterns).Draw(t, "except")}
	case 2:
		d.Private = []netip.Prefix{netip.MustParsePrefix(rapid.SampledFrom([]string{"10.0.0.0/8", "10.9.0.0/16", "169.254.0.0/16"}).Draw(t, "private"))}
	case 3:
		d.Aliases = []program.NamePattern{rapid.SampledFrom([]program.NamePattern{"*.example.net", "a.example.com"}).Draw(t, "alias")}
	case 4:
		d.Less = []program.Domain{{Patterns: []program.NamePattern{"**.example.com"}, Except: []program.NamePattern{rapid.SampledFrom(patterns).Draw(t, "back")}}}
	}
	return program.Peer{Kind: program.PeerDomain, Domain: d}
}

func drawRule(t *rapid.T, d program.Direction, label string, passes bool) *check.Rule {
	r := &check.Rule{Label: label, Action: rapid.SampledFrom([]program.Action{program.Allow, program.Allow, program.Deny}).Draw(t, "action")}
	r.Log = rapid.IntRange(0, 3).Draw(t, "log") == 0
	r.Audit = rapid.IntRange(0, 9).Draw(t, "audit") == 0
	if passes && rapid.IntRange(0, 3).Draw(t, "pass") == 0 {
		r.Action, r.Peers.Include = program.Pass, []program.Peer{drawPeer(t)}
		r.L4 = rapid.SampledFrom([][]program.L4{
			{{Any: true}}, {tcp(80, 81)}, {tcp(1, 65535)}, {tcp(53, 53), {Proto: program.ProtoUDP, First: 53, Last: 53}},
		}).Draw(t, "pass ports")
		return r
	}
	if d == program.Egress && rapid.IntRange(0, 2).Draw(t, "domains") == 0 {
		r.Peers.Include = append(r.Peers.Include, drawDomain(t))
		if rapid.Bool().Draw(t, "two") {
			r.Peers.Include = append(r.Peers.Include, drawDomain(t))
		}
		if r.Action == program.Deny {
			for _, p := range r.Peers.Include {
				p.Domain.Private, p.Domain.Aliases = nil, nil
			}
			r.L4 = []program.L4{{Any: true}}
			return r
		}
		if rapid.IntRange(0, 3).Draw(t, "less") == 0 {
			less := drawDomain(t)
			less.Domain.Private, less.Domain.Aliases = nil, nil
			r.Peers.Except = append(r.Peers.Except, less)
		}
	}
	if len(r.Peers.Include) == 0 || rapid.IntRange(0, 4).Draw(t, "mixed") == 0 {
		r.Peers.Include = append(r.Peers.Include, drawPeer(t))
		for range rapid.IntRange(0, 2).Draw(t, "excepts") {
			r.Peers.Except = append(r.Peers.Except, drawPeer(t))
		}
	}
	dns := []program.L4{{Proto: program.ProtoUDP, First: 53, Last: 53}, tcp(53, 53)}
	if rapid.IntRange(0, 2).Draw(t, "one protocol") == 0 {
		dns = dns[:1]
	}
	switch rapid.IntRange(0, 11).Draw(t, "l4") {
	case 0, 1:
		r.L4 = []program.L4{{Any: true}}
	case 2, 3, 4:
		r.L4 = rapid.SampledFrom([][]program.L4{{tcp(80, 80)}, {tcp(80, 81)}, {tcp(8080, 8080), tcp(80, 80)}}).Draw(t, "http ports")
		r.L7 = drawRequests(t)
	case 5:
		r.L4 = []program.L4{rapid.SampledFrom([]program.L4{tcp(443, 443), tcp(440, 445)}).Draw(t, "tls ports")}
		r.L7 = &program.L7{Kind: program.L7TLS, SNI: []program.NamePattern{rapid.SampledFrom(
			[]program.NamePattern{"a.example.com", "*.example.com", "x.example.net"}).Draw(t, "sni")}}
		if rapid.IntRange(0, 2).Draw(t, "sni sets") == 0 {
			r.L7.SNISets = []program.Domain{{Patterns: []program.NamePattern{"*.example.com"}, Except: r.L7.SNI}}
			r.L7.SNI = nil
		}
		if onlyDomains(r) && rapid.Bool().Draw(t, "pinned") {
			r.L7 = &program.L7{Kind: program.L7TLS, Pinned: true}
		}
	case 6, 9:
		r.L4 = dns
		if rapid.IntRange(0, 2).Draw(t, "dns part") > 0 {
			r.L4 = append(r.L4, rapid.SampledFrom([][]program.L4{nil, {{Proto: program.ProtoUDP, First: 50, Last: 60}}, {tcp(22, 22)}}).Draw(t, "more ports")...)
			types := rapid.SampledFrom([][]uint16{nil, {1, 16}, {1, 255}, {1, 255}}).Draw(t, "types")
			r.L7 = &program.L7{Kind: program.L7DNS, DNS: []program.NamePattern{"*.example.com"}, Types: types}
			if !hasDomainPeer(r) && rapid.Bool().Draw(t, "of anybody") {
				r.Peers = program.Peers{Include: []program.Peer{{Kind: program.PeerAny}}}
			}
		}
	case 7:
		r.L4 = []program.L4{{Proto: program.ProtoICMP, First: 8 << 8, Last: 8<<8 | 255}, {Proto: 47, Last: 0xffff}}
	case 8:
		r.L4 = append(dns, tcp(80, 90))
	default:
		r.L4 = []program.L4{rapid.SampledFrom([]program.L4{
			tcp(80, 80), tcp(22, 22), tcp(443, 443), tcp(80, 443), {Proto: program.ProtoUDP, First: 54, Last: 60}, tcp(54, 65535),
		}).Draw(t, "ports")}
	}
	return r
}

// drawResolvers draws one or two: of the node, outside, the host, workloads of each kind, some believed
// about some names only, some at other ports than 53.
func drawResolvers(t *rapid.T) []program.Resolver {
	is := func(p program.Peer) program.Peers { return program.Peers{Include: []program.Peer{p}} }
	prefix := func(text string) program.Peers {
		return is(program.Peer{Kind: program.PeerPrefix, Prefix: netip.MustParsePrefix(text)})
	}
	app := func(value string) program.Peers {
		return is(program.Peer{Kind: program.PeerSelector, Selector: &program.Selector{Op: program.OpIn, Key: "app", Values: []string{value}}})
	}
	udp := func(first, last uint16) program.L4 {
		return program.L4{Proto: program.ProtoUDP, First: first, Last: last}
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]program.Resolver{
		{Name: "node", Node: true},
		{Name: "p.out", Peers: prefix("198.51.100.0/24"), L4: []program.L4{udp(53, 54), tcp(53, 53)}},
		{Name: "p.for", Peers: prefix("198.51.100.4/32"), L4: []program.L4{udp(53, 53)}, For: []program.NamePattern{"**.example.com"}},
		{Name: "p.some", Peers: prefix("9.9.9.9/32"), L4: []program.L4{udp(54, 54), tcp(22, 22)}, For: []program.NamePattern{"a.example.com", "x.example.net"}},
		{Name: "p.host", Peers: is(program.Peer{Kind: program.PeerHost}), L4: []program.L4{tcp(53, 53), udp(53, 53)}},
		{Name: "p.b", Peers: app("b"), L4: []program.L4{udp(53, 54)}},
		{Name: "p.a", Peers: app("a"), L4: []program.L4{udp(53, 53)}, For: []program.NamePattern{"*.example.com"}},
	}), 1, 2, func(r program.Resolver) string { return r.Name }).Draw(t, "resolvers")
}

func hasDomainPeer(r *check.Rule) bool {
	for _, p := range r.Peers.Include {
		if p.Kind == program.PeerDomain {
			return true
		}
	}
	return false
}

func onlyDomains(r *check.Rule) bool {
	return !slices.ContainsFunc(r.Peers.Include, func(p program.Peer) bool { return p.Kind != program.PeerDomain })
}

// drawModule draws up to four policies over four tiers.
func drawModule(t *rapid.T) *check.Module {
	action := rapid.SampledFrom([]program.Action{program.Deny, program.Deny, program.Allow})
	m := &check.Module{
		Files:   []string{"draw.mpol"},
		Default: &check.Default{Action: action.Draw(t, "default")},
		Tiers: []program.Tier{
			{Name: "admin", Order: 100, Default: program.Pass},
			{Name: "app", Order: 200, Default: action.Draw(t, "app")},
			{Name: "late", Order: 250, Default: action.Draw(t, "late")},
			{Name: "baseline", Order: 300, Default: program.Pass},
		},
	}
	line := 1
	next := func() diag.Span {
		line++
		return diag.Span{File: "draw.mpol", Start: diag.Pos{Line: line, Column: 1, Offset: line}}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "policies") {
		p := &check.Policy{Name: fmt.Sprintf("p%d", i), Tier: rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3}).Draw(t, "tier")}
		p.Audit = rapid.IntRange(0, 11).Draw(t, "audit policy") == 0
		p.Subject.All = true
		if s := drawPeer(t); s.Kind == program.PeerSelector {
			p.Subject = program.Subject{Selector: s.Selector}
		} else if s.Kind == program.PeerHost || s.Kind == program.PeerInternet {
			p.Subject = program.Subject{Host: true}
		}
		block := func(d program.Direction) *check.Block {
			b := &check.Block{Span: next()}
			if d == program.Egress && rapid.IntRange(0, 2).Draw(t, "resolve via") == 0 {
				b.Resolvers = drawResolvers(t)
			}
			for j := range rapid.IntRange(0, 3).Draw(t, "rules") {
				r := drawRule(t, d, fmt.Sprintf("%s%d", d, j), m.Tiers[p.Tier].Default != program.Pass)
				r.PlaceSpan, r.L4Span, r.PeersSpan = next(), next(), next()
				b.Rules = append(b.Rules, r)
			}
			return b
		}
		if which := rapid.IntRange(0, 3).Draw(t, "directions"); which != 0 {
			p.Egress = block(program.Egress)
			if which > 1 {
				p.Ingress = block(program.Ingress)
			}
		} else {
			p.Ingress = block(program.Ingress)
		}
		m.Policies = append(m.Policies, p)
	}
	return m
}
