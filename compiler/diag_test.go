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
	dns := &program.L7{Kind: program.L7DNS, DNS: []program.NamePattern{"a.example.com"}}
	overlapping := func(n int) (rules []*check.Rule) {
		for i := range n {
			rules = append(rules, rule(program.Allow, nil, tcp(80, 80), domain(program.NamePattern(fmt.Sprintf("*a%d*.example.com", i))))...)
		}
		return rules
	}
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
		{"protocol 0", one(nil, rule(program.Allow, nil, program.L4{Last: 65535}, anyone)), diag.BadL4, one(nil, rule(program.Allow, nil, program.L4{Any: true}, anyone))},
		{"http over udp", one(nil, rule(program.Allow, http, udp53, anyone)), diag.L7Protocol, one(nil, rule(program.Allow, http, tcp(53, 53), anyone))},
		{"http over any", one(nil, rule(program.Allow, http, program.L4{Any: true}, anyone)), diag.L7Protocol, one(nil, rule(program.Allow, http, tcp(80, 80), anyone))},
		{"too many ports", one(nil, rule(program.Allow, http, tcp(1000, 2024), anyone)), compiler.CodeL7Ports, one(nil, rule(program.Allow, http, tcp(1000, 2023), anyone))},
		{"questions over any", one(nil, rule(program.Allow, dns, program.L4{Any: true}, anyone)), diag.L7Protocol, one(nil, rule(program.Allow, dns, udp53, anyone))},
		{"too many tiers", tiers(64), compiler.CodeTooMany, tiers(63)},
		{"too many name sets", one(overlapping(13), nil), compiler.CodeNameSets, one(overlapping(12), nil)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, diags := compiler.Compile(test.bad, universe())
			if p != nil || !slices.ContainsFunc(diags, func(d diag.Diagnostic) bool { return d.Code == test.code && d.Severity == diag.Error }) {
				t.Errorf("Compile gave %v, want the error %s", diags, test.code)
			}
			if p, diags := compiler.Compile(test.good, universe()); p == nil {
				t.Errorf("Compile refuses the positive control: %v", diags)
			}
		})
	}
}

// What goes to the DNS proxy cannot be judged as another kind: it is denied, with a warning.
func TestDNSPort(t *testing.T) {
	http := &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{{Path: program.PathPattern{Subtree: true}}}}
	asks := rule(program.Allow, http, tcp(53, 80), program.Peer{Kind: program.PeerAny})
	p, diags := compiler.Compile(one(asks, nil), universe())
	if p == nil || len(diags) > 0 {
		t.Errorf("Compile gave %v, want nothing", diags)
	}
	names := rule(program.Allow, nil, tcp(443, 443), domain("a.example.com"))
	p, diags = compiler.Compile(one(append(asks, names...), nil), universe())
	if p == nil || len(diags) != 1 || diags[0].Code != compiler.CodeDNSPort || diags[0].Severity != diag.Warning {
		t.Errorf("Compile gave %v, want one warning %s", diags, compiler.CodeDNSPort)
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
