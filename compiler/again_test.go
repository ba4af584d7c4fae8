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

// edited is a module in which the file of a policy, ten policies, has been read again with other rules
// in that policy's ingress.
func edited(m *check.Module, policy int, rules func([]*check.Rule) []*check.Rule) *check.Module {
	n := *m
	n.Policies = slices.Clone(m.Policies)
	first := policy / 10 * 10
	for i := first; i < first+10; i++ {
		p := *n.Policies[i]
		n.Policies[i] = &p
	}
	in := *m.Policies[policy].Ingress
	in.Rules = rules(slices.Clone(in.Rules))
	n.Policies[policy].Ingress = &in
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

// BenchmarkCityAgain compiles 10,000 policies for 10,000 workloads again after a change and after its
// undoing: under 20 ms.
func BenchmarkCityAgain(b *testing.B) {
	m, inv := city(10_000, 10_000, 1_000)
	again := func(name string, n *check.Module, more program.Inventory) {
		b.Run(name, func(b *testing.B) {
			var memory compiler.Memory
			memory.Compile(m, inv)
			start, runs := processorTime(b), 0
			for b.Loop() {
				what, who := m, inv
				if runs%2 == 0 {
					what, who = n, more
				}
				if p, diags := memory.Compile(what, who); p == nil {
					b.Fatal(diags)
				}
				runs++
			}
			b.ReportMetric((processorTime(b)-start).Seconds()*1e3/float64(runs), "cpu-ms/op")
		})
	}
	other := *m.Policies[5000].Ingress.Rules[0]
	other.L4 = []program.L4{tcp(9090, 9090)}
	port := edited(m, 5000, func(rs []*check.Rule) []*check.Rule { return append([]*check.Rule{&other}, rs[1:]...) })
	more := other
	more.Label = "more"
	rule := edited(m, 5000, func(rs []*check.Rule) []*check.Rule { return append(rs, &more) })
	net := more
	net.L7, net.Peers = nil, program.Peers{Include: []program.Peer{{Kind: program.PeerPrefix, Prefix: netip.MustParsePrefix("198.51.100.128/25")}}}
	again("nothing", m, inv)
	again("port", port, inv)
	again("rule", rule, inv)
	again("first rule", edited(m, 0, func(rs []*check.Rule) []*check.Rule { return append(rs, &more) }), inv)
	again("prefix", edited(m, 5000, func(rs []*check.Rule) []*check.Rule { return append(rs, &net) }), inv)
	again("workload", m, withWorkload(inv, "7"))
	again("labels", m, withWorkload(inv, "new"))
}
