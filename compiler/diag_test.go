// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// one makes a module of one policy for everyone with the given rules.
func one(egress, ingress []*check.Rule) *check.Module {
	m := &check.Module{
		Default: &check.Default{}, Tiers: []program.Tier{{Name: "app", Order: 200}},
		Policies: []*check.Policy{{Name: "p.all", Subject: program.Subject{All: true}}},
	}
	if egress != nil {
		m.Policies[0].Egress = &check.Block{Rules: egress}
	}
	if ingress != nil {
		m.Policies[0].Ingress = &check.Block{Rules: ingress}
	}
	return m
}

func rule(action program.Action, l7 *program.L7, l4 program.L4, peers ...program.Peer) []*check.Rule {
	return []*check.Rule{{Action: action, Peers: program.Peers{Include: peers}, L4: []program.L4{l4}, L7: l7}}
}

func domain(patterns ...program.NamePattern) program.Peer {
	return program.Peer{Kind: program.PeerDomain, Domain: &program.Domain{Patterns: patterns}}
}

// Every mistake is refused, and with it gone the program compiles.
func TestDiagnostics(t *testing.T) {
	anyone := program.Peer{Kind: program.PeerAny}
	http := &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{{Path: program.PathPattern{Subtree: true}}}}
	tls := &program.L7{Kind: program.L7TLS, SNI: []program.NamePattern{"a.example.com"}}
	dns := &program.L7{Kind: program.L7DNS, DNS: []program.NamePattern{"a.example.com"}}
	overlapping := func(n int) (rules []*check.Rule) {
		for i := range n {
			rules = append(rules, rule(program.Allow, nil, tcp(80, 80), domain(program.NamePattern(fmt.Sprintf("*a%d*.example.com", i))))...)
		}
		return rules
	}
	nested := rule(program.Allow, nil, tcp(80, 80), domain("**.example.com"))
	nested[0].Peers.Except = []program.Peer{domain("a.example.com")}
	nested[0].Peers.Except[0].Domain.Except = []program.NamePattern{"b.example.com"}
	flat := rule(program.Allow, nil, tcp(80, 80), domain("**.example.com"))
	flat[0].Peers.Except = []program.Peer{domain("a.example.com")}
	tiers := func(n int) *check.Module {
		m := one(nil, rule(program.Allow, nil, tcp(80, 80), anyone))
		m.Tiers = slices.Repeat(m.Tiers, n)
		return m
	}
	udp53 := program.L4{Proto: program.ProtoUDP, First: 53, Last: 53}
	tests := []struct {
		name string
		bad  *check.Module
		code diag.Code
		good *check.Module
	}{
		{"a domain in ingress", one(nil, rule(program.Allow, nil, tcp(80, 80), domain("a.example.com"))), diag.DomainIngress, one(rule(program.Allow, nil, tcp(80, 80), domain("a.example.com")), nil)},
		{"an except in an except", one(nested, nil), diag.NotSupported, one(flat, nil)},
		{"protocol 0", one(nil, rule(program.Allow, nil, program.L4{Last: 65535}, anyone)), diag.BadL4, one(nil, rule(program.Allow, nil, program.L4{Any: true}, anyone))},
		{"http over udp", one(nil, rule(program.Allow, http, udp53, anyone)), diag.L7Protocol, one(nil, rule(program.Allow, http, tcp(53, 53), anyone))},
		{"http over any", one(nil, rule(program.Allow, http, program.L4{Any: true}, anyone)), diag.L7Protocol, one(nil, rule(program.Allow, http, tcp(80, 80), anyone))},
		{"too many ports", one(nil, rule(program.Allow, http, tcp(1000, 2024), anyone)), compiler.CodeL7Ports, one(nil, rule(program.Allow, http, tcp(1000, 2023), anyone))},
		{"questions in ingress", one(nil, rule(program.Allow, dns, udp53, anyone)), diag.NotSupported, one(append(rule(program.Allow, dns, udp53, anyone), rule(program.Deny, dns, tcp(53, 53), anyone)...), nil)},
		{"too many tiers", tiers(64), compiler.CodeTooMany, tiers(63)},
		{"too many name sets", one(overlapping(13), nil), compiler.CodeNameSets, one(overlapping(12), nil)},
		{"two kinds", one(nil, append(rule(program.Allow, http, tcp(80, 90), anyone), rule(program.Allow, tls, tcp(90, 99), anyone)...)), diag.L7Mixed, one(nil, append(rule(program.Allow, http, tcp(80, 90), anyone), rule(program.Allow, tls, tcp(91, 99), anyone)...))},
		{
			"http at the port of questions", one(append(rule(program.Allow, nil, tcp(80, 80), domain("a.example.com")), rule(program.Allow, http, tcp(53, 53), anyone)...), nil),
			compiler.CodeDNSPort, one(rule(program.Allow, http, tcp(53, 53), anyone), nil),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, diags := compiler.Compile(test.bad, universe())
			if p != nil || !slices.ContainsFunc(diags, func(d diag.Diagnostic) bool { return d.Code == test.code && d.Severity == diag.Error }) {
				t.Errorf("Compile gave %v, want the error %s", diags, test.code)
			}
			if test.name == "questions in ingress" {
				for _, r := range test.good.Policies[0].Egress.Rules {
					r.L4 = []program.L4{udp53, tcp(53, 53)}
				}
			}
			if p, diags := compiler.Compile(test.good, universe()); p == nil {
				t.Errorf("Compile refuses the positive control: %v", diags)
			}
		})
	}
}

// What no node enforces yet is refused at its place, unless it only reports.
func TestNotSupported(t *testing.T) {
	anyone := program.Peer{Kind: program.PeerAny}
	http := func(h program.HTTPRequest) *program.L7 {
		h.Path = program.PathPattern{Subtree: true}
		return &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{h}}
	}
	private, alias := domain("a.example.com"), domain("a.example.com")
	private.Domain.Private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	alias.Domain.Aliases = []program.NamePattern{"b.example.com"}
	via := one(rule(program.Allow, nil, tcp(80, 80), domain("a.example.com")), nil)
	via.Policies[0].Egress.Resolvers = []program.Resolver{{Name: "p.r"}}
	node := one(rule(program.Allow, nil, tcp(80, 80), domain("a.example.com")), nil)
	node.Policies[0].Egress.Resolvers = []program.Resolver{{Name: "node", Node: true}}
	host := one(rule(program.Allow, nil, tcp(80, 80), anyone), nil)
	host.Policies[0].Subject = program.Subject{Host: true}
	plain := one(rule(program.Allow, http(program.HTTPRequest{}), tcp(80, 80), anyone), nil)
	tests := []struct {
		name      string
		bad, good *check.Module
	}{
		{"pinned", one(rule(program.Allow, &program.L7{Kind: program.L7TLS, Pinned: true}, tcp(80, 80), domain("a.example.com")), nil), node},
		{"private", one(rule(program.Allow, nil, tcp(80, 80), private), nil), node},
		{"via cname", one(rule(program.Allow, nil, tcp(80, 80), alias), nil), node},
		{"resolve via", via, node},
		{"host", host, plain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, diags := compiler.Compile(test.bad, universe())
			if p != nil || !slices.ContainsFunc(diags, func(d diag.Diagnostic) bool { return d.Code == diag.NotSupported }) {
				t.Errorf("Compile gave %v, want the error %s", diags, diag.NotSupported)
			}
			if p, diags := compiler.Compile(test.good, universe()); p == nil {
				t.Errorf("Compile refuses the positive control: %v", diags)
			}
			test.bad.Policies[0].Audit = true
			if p, diags := compiler.Compile(test.bad, universe()); p == nil || len(p.Tables.Tables) > 0 {
				t.Errorf("an audit policy is not left out of the tables: %v", diags)
			}
		})
	}
}

// Where the halves of a flow ask for different kinds it is denied, with a warning.
func TestHalvesMixed(t *testing.T) {
	anyone := program.Peer{Kind: program.PeerAny}
	http := &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{{Path: program.PathPattern{Subtree: true}}}}
	tls := &program.L7{Kind: program.L7TLS, SNI: []program.NamePattern{"a.example.com"}}
	p, diags := compiler.Compile(one(rule(program.Allow, http, tcp(80, 80), anyone), rule(program.Allow, tls, tcp(80, 80), anyone)), universe())
	if p == nil || len(diags) != 1 || diags[0].Code != diag.L7Mixed || diags[0].Severity != diag.Warning {
		t.Errorf("Compile gave %v, want one warning", diags)
	}
}

// Two workloads at one address, or two things at once, are refused.
func TestInventory(t *testing.T) {
	m := one(nil, rule(program.Allow, nil, tcp(80, 80), program.Peer{Kind: program.PeerAny}))
	tests := []struct {
		name   string
		change func(*program.Inventory)
	}{
		{"node address", func(i *program.Inventory) { i.Node = append(i.Node, netip.MustParseAddr("10.0.0.1")) }},
		{"shared address", func(i *program.Inventory) { i.Workloads[1].Addresses = i.Workloads[0].Addresses }},
		{"loopback", func(i *program.Inventory) { i.Workloads[1].Addresses = addrs("127.0.0.1") }},
		{"unspecified", func(i *program.Inventory) { i.Workloads[1].Addresses = addrs("::") }},
		{"zone", func(i *program.Inventory) { i.Workloads[1].Addresses = addrs("fe80::1%eth0") }},
		{"order", func(i *program.Inventory) { slices.Reverse(i.Workloads) }},
		{"two places", func(i *program.Inventory) { i.Workloads[0].Cgroup = "a" }},
		{"labels", func(i *program.Inventory) { i.Workloads[0].Labels = labels("b", "1", "a", "2") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inv := universe()
			test.change(&inv)
			if p, diags := compiler.Compile(m, inv); p != nil || diags[0].Code != compiler.CodeInventory {
				t.Errorf("Compile gave %v, want the error %s", diags, compiler.CodeInventory)
			}
			if p, diags := compiler.Compile(m, universe()); p == nil {
				t.Errorf("Compile refuses the positive control: %v", diags)
			}
		})
	}
}
