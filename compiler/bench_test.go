// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"net/netip"
	"testing"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
)

// BenchmarkCompile compiles 100 policies, each with a domain peer, an L7 rule and prefixes, for 300
// workloads.
func BenchmarkCompile(b *testing.B) {
	const apps, workloads = 100, 300
	app := func(i int) program.Peer {
		return program.Peer{Kind: program.PeerSelector, Selector: &program.Selector{Op: program.OpIn, Key: "app", Values: []string{fmt.Sprint(i % apps)}}}
	}
	m := &check.Module{Default: &check.Default{}, Tiers: []program.Tier{{Name: "app", Order: 200}}}
	rule := func(l4 program.L4, l7 *program.L7, peers ...program.Peer) *check.Rule {
		return &check.Rule{Action: program.Allow, Peers: program.Peers{Include: peers}, L4: []program.L4{l4}, L7: l7}
	}
	get := &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{{Methods: []string{"GET"}, Path: program.PathPattern{Subtree: true}}}}
	for i := range apps {
		domain := &program.Domain{Patterns: []program.NamePattern{program.NamePattern(fmt.Sprintf("*.n%d.example", i))}}
		net := program.Peer{Kind: program.PeerPrefix, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i), 0}), 24)}
		m.Policies = append(m.Policies, &check.Policy{
			Name: fmt.Sprintf("p.p%d", i), Subject: program.Subject{Selector: app(i).Selector},
			Ingress: &check.Block{Rules: []*check.Rule{rule(tcp(8080, 8080), get, app(i+1), app(i+2)), rule(tcp(22, 22), nil, net)}},
			Egress: &check.Block{Rules: []*check.Rule{
				rule(tcp(8080, 8080), nil, app(i+apps-1), app(i+apps-2)), rule(tcp(80, 80), get, program.Peer{Kind: program.PeerDomain, Domain: domain}),
			}},
		})
	}
	inv := program.Inventory{Resolvers: addrs("198.51.100.53"), Node: addrs("192.0.2.1")}
	for i := range workloads {
		inv.Workloads = append(inv.Workloads, program.Workload{
			Name: fmt.Sprintf("w%03d", i), Labels: labels("app", fmt.Sprint(i%apps)), Interface: fmt.Sprintf("v%d", i),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})},
		})
	}
	for b.Loop() {
		p, diags := compiler.Compile(m, inv)
		if p == nil {
			b.Fatal(diags)
		}
	}
}
