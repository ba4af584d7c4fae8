// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"net/netip"
	"slices"
	"testing"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
)

// again is what is compiled after a change.
type again struct {
	name      string
	module    *check.Module
	inventory program.Inventory
}

// benchmarkAgain compiles again after each change and after its undoing.
func benchmarkAgain(b *testing.B, m *check.Module, inv program.Inventory, changes []again) {
	for _, change := range changes {
		b.Run(change.name, func(b *testing.B) {
			var memory compiler.Memory
			memory.Compile(m, inv)
			start, runs := processorTime(b), 0
			for b.Loop() {
				what, who := m, inv
				if runs%2 == 0 {
					what, who = change.module, change.inventory
				}
				if p, diags := memory.Compile(what, who); p == nil {
					b.Fatal(diags)
				}
				runs++
			}
			b.ReportMetric((processorTime(b)-start).Seconds()*1e3/float64(runs), "cpu-ms/op")
		})
	}
}

// edited is a module in which the file of a policy, ten policies, has been read again with other rules
// in a block of that policy.
func edited(m *check.Module, policy int, d program.Direction, rules func([]*check.Rule) []*check.Rule) *check.Module {
	n := *m
	n.Policies = slices.Clone(m.Policies)
	first := policy / 10 * 10
	for i := first; i < first+10; i++ {
		p := *n.Policies[i]
		n.Policies[i] = &p
	}
	p := n.Policies[policy]
	block := &p.Ingress
	if d == program.Egress {
		block = &p.Egress
	}
	changed := **block
	changed.Rules = rules(slices.Clone(changed.Rules))
	*block = &changed
	return &n
}

// more puts rules behind those of a block, instead in the place of the last.
func more(rules ...*check.Rule) func([]*check.Rule) []*check.Rule {
	return func(rs []*check.Rule) []*check.Rule { return append(rs, rules...) }
}

func instead(rules ...*check.Rule) func([]*check.Rule) []*check.Rule {
	return func(rs []*check.Rule) []*check.Rule { return append(rs[:len(rs)-1], rules...) }
}

// withPolicy is a module with a policy more, like one that it has, as a change makes it.
func withPolicy(m *check.Module, like int, change func(*check.Policy)) *check.Module {
	p := *m.Policies[like]
	p.Name += "x"
	change(&p)
	n := *m
	n.Policies = slices.Insert(slices.Clone(m.Policies), like, &p)
	return &n
}

// withoutPolicy is a module with a policy less.
func withoutPolicy(m *check.Module, policy int) *check.Module {
	n := *m
	n.Policies = slices.Delete(slices.Clone(m.Policies), policy, policy+1)
	return &n
}

// withWorkload is an inventory with one workload more, in the middle.
func withWorkload(inv program.Inventory, app string) program.Inventory {
	i := len(inv.Workloads) / 2
	inv.Workloads = slices.Insert(slices.Clone(inv.Workloads), i, program.Workload{
		Name: inv.Workloads[i-1].Name + "x", Labels: labels("app", app), Interface: "vx",
		Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, 2, 3})},
	})
	return inv
}

// withService is a module in which some policies, which use one service, have another port.
func withService(m *check.Module, first, policies int) *check.Module {
	n := *m
	n.Policies = slices.Clone(m.Policies)
	for i := first; i < first+policies; i++ {
		r := *m.Policies[i].Ingress.Rules[0]
		r.L4 = []program.L4{tcp(9090, 9090)}
		n.Policies[i] = edited(m, i, program.Ingress, func(rs []*check.Rule) []*check.Rule { return append([]*check.Rule{&r}, rs[1:]...) }).Policies[i]
	}
	return &n
}

// BenchmarkCityAgain compiles 10,000 policies for 10,000 workloads again after a change and after its
// undoing: under 20 ms.
func BenchmarkCityAgain(b *testing.B) {
	m, inv := city(10_000, 10_000, 1_000)
	get, port, added, name, net := *m.Policies[7].Ingress.Rules[1], *m.Policies[5000].Ingress.Rules[0], *m.Policies[5000].Ingress.Rules[0],
		*m.Policies[1007].Egress.Rules[1], *m.Policies[2007].Ingress.Rules[1]
	get.L7 = &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{{Methods: []string{"GET"}, Path: program.PathPattern{Subtree: true}}}}
	port.L4, added.L4, added.Label = []program.L4{tcp(9090, 9090)}, []program.L4{tcp(9090, 9090)}, "more"
	name.Peers = program.Peers{Include: []program.Peer{{Kind: program.PeerDomain, Domain: &program.Domain{Patterns: []program.NamePattern{"*.example.com"}}}}}
	net.Label, net.Peers = "more", program.Peers{Include: []program.Peer{{Kind: program.PeerPrefix, Prefix: netip.MustParsePrefix("198.51.100.128/25")}}}
	moved, node := inv, inv
	moved.Workloads = slices.Clone(inv.Workloads)
	moved.Workloads[5000].Addresses = addrs("10.1.2.3")
	node.Node = addrs("192.0.2.7")
	benchmarkAgain(b, m, inv, []again{
		{"nothing", m, inv},
		{"port", edited(m, 5000, program.Ingress, instead(&port)), inv},
		{"rule", edited(m, 5000, program.Ingress, more(&added)), inv},
		{"first rule", edited(m, 0, program.Ingress, more(&added)), inv},
		{"requests", edited(m, 7, program.Ingress, instead(&get)), inv},
		{"domain", edited(m, 1007, program.Egress, instead(&name)), inv},
		{"prefix", edited(m, 5000, program.Ingress, more(&net)), inv},
		{"other prefix", edited(m, 2007, program.Ingress, instead(&net)), inv},
		{"service of 10", withService(m, 3000, 10), inv},
		{"policy", withPolicy(m, 5000, func(*check.Policy) {}), inv},
		{"policy removed", withoutPolicy(m, 5000), inv},
		{"address", m, moved},
		{"node", m, node},
		{"workload", m, withWorkload(inv, "7")},
		{"labels", m, withWorkload(inv, "new")},
	})
}

// BenchmarkCityAllAgain compiles them again after changes on which the tables of everyone hang.
func BenchmarkCityAllAgain(b *testing.B) {
	m, inv := city(10_000, 10_000, 1_000)
	tiers := slices.Concat(m.Tiers, []program.Tier{{Name: "more", Order: 300}})
	tier := withPolicy(m, 5000, func(p *check.Policy) { p.Tier = 2 })
	tier.Tiers = tiers
	resolvers := inv
	resolvers.Resolvers = addrs("9.9.9.10")
	benchmarkAgain(b, m, inv, []again{
		{"service of 1000", withService(m, 3000, 1000), inv},
		{"policy of all", withPolicy(m, 5000, func(p *check.Policy) { p.Tier, p.Subject = 0, program.Subject{All: true} }), inv},
		{"tier", tier, inv},
		{"resolvers", m, resolvers},
	})
}
