// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// city makes many policies and workloads: sets of labels are told apart by app, each with as many
// policies. Of ten policies one names a domain, one asks for requests, one names a prefix.
func city(policies, workloads, apps int) (*check.Module, program.Inventory) {
	app := func(i int) *program.Selector {
		return &program.Selector{Op: program.OpIn, Key: "app", Values: []string{fmt.Sprint(i % apps)}}
	}
	peer := func(i int) program.Peer { return program.Peer{Kind: program.PeerSelector, Selector: app(i)} }
	rule := func(label string, l4 program.L4, l7 *program.L7, peers ...program.Peer) *check.Rule {
		return &check.Rule{Label: label, Action: program.Allow, Peers: program.Peers{Include: peers}, L4: []program.L4{l4}, L7: l7}
	}
	get := func(i int) *program.L7 {
		return &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{
			{Methods: []string{"GET"}, Path: program.PathPattern{Segments: []program.Segment{{Literal: fmt.Sprint("v", i)}}, Subtree: true}},
			{Methods: []string{"POST"}, Path: program.PathPattern{Segments: []program.Segment{{Literal: "items"}, {Any: true}}}},
		}}
	}
	m := &check.Module{
		Files: []string{"city.mpol"}, Default: &check.Default{},
		Tiers: []program.Tier{{Name: "admin", Order: 100, Default: program.Pass}, {Name: "app", Order: 200}},
	}
	for i := range policies {
		p := &check.Policy{Name: fmt.Sprintf("city.p%d", i), Tier: 1, Subject: program.Subject{Selector: app(i)}}
		p.Ingress = &check.Block{Rules: []*check.Rule{rule("in", tcp(uint16(1000+i/apps), uint16(1000+i/apps)), nil, peer(i+1), peer(i+2))}}
		p.Egress = &check.Block{Rules: []*check.Rule{
			rule("out", tcp(uint16(1000+i/apps), uint16(1000+i/apps)), nil, peer(i+apps-1), peer(i+apps-2)),
		}}
		switch i / apps % 10 {
		case 0:
			p.Ingress.Rules = append(p.Ingress.Rules, rule("requests", tcp(8080, 8080), get(i), peer(i+1)))
			p.Egress.Rules = append(p.Egress.Rules, rule("requests-out", tcp(8080, 8080), nil, peer(i+apps-1)))
		case 1:
			d := &program.Domain{Patterns: []program.NamePattern{program.NamePattern(fmt.Sprintf("*.n%d.example", i%apps))}}
			p.Egress.Rules = append(p.Egress.Rules, rule("name", tcp(443, 443), nil, program.Peer{Kind: program.PeerDomain, Domain: d}))
		case 2:
			net := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, 0}), 24)
			p.Ingress.Rules = append(p.Ingress.Rules, rule("net", tcp(22, 22), nil, program.Peer{Kind: program.PeerPrefix, Prefix: net}))
		}
		m.Policies = append(m.Policies, p)
	}
	inv := program.Inventory{Resolvers: addrs("9.9.9.9"), Node: addrs("192.0.2.1")}
	for i := range workloads {
		inv.Workloads = append(inv.Workloads, program.Workload{
			Name: fmt.Sprintf("w%05d", i), Labels: labels("app", fmt.Sprint(i%apps)), Interface: fmt.Sprintf("v%d", i),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})},
		})
	}
	return m, inv
}

// BenchmarkCity compiles 10,000 policies for 10,000 workloads of 1,000 sets of labels: under 3 s and
// 1 GB.
func BenchmarkCity(b *testing.B) {
	m, inv := city(10_000, 10_000, 1_000)
	for b.Loop() {
		start := processorTime(b)
		p, diags := compiler.Compile(m, inv)
		if p == nil {
			b.Fatal(diags)
		}
		b.StopTimer()
		b.ReportMetric((processorTime(b) - start).Seconds(), "cpu-s")
		var mem runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&mem)
		b.ReportMetric(float64(mem.HeapAlloc)/1e6, "MB-live")
		b.ReportMetric(float64(mem.Sys)/1e6, "MB-sys")
		b.ReportMetric(float64(len(p.Tables.Tables)), "tables")
		b.ReportMetric(float64(len(p.Tables.Profiles)), "profiles")
		b.StartTimer()
	}
}

// wide makes as many policies, sets of labels and, if so asked, prefixes, for a node with 200 workloads.
func wide(n int, prefixes bool) (*check.Module, program.Inventory) {
	m, inv := city(n, n, n)
	for i, p := range m.Policies {
		if prefixes {
			net := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i)}), 24)
			p.Egress.Rules[0].Peers = program.Peers{Include: []program.Peer{{Kind: program.PeerPrefix, Prefix: net}}}
		}
		if i >= 200 {
			inv.Workloads[i].Interface = ""
		}
	}
	return m, inv
}

// BenchmarkWide compiles 10,000 policies where each has its own labels or its own prefix.
func BenchmarkWide(b *testing.B) {
	for _, name := range []string{"labels", "prefixes"} {
		b.Run(name, func(b *testing.B) {
			m, inv := wide(10_000, name == "prefixes")
			for b.Loop() {
				if p, diags := compiler.Compile(m, inv); p == nil {
					b.Fatal(diags)
				}
			}
		})
	}
}

// BenchmarkDecide judges flows and requests by the rules of a city: a million flows and 300,000
// requests a second.
func BenchmarkDecide(b *testing.B) {
	benchmarkDecide(b, "city", 10_000, 10_000, 1_000)
	benchmarkDecide(b, "town", 300, 1_000, 100)
}

func benchmarkDecide(b *testing.B, name string, policies, workloads, apps int) {
	m, inv := city(policies, workloads, apps)
	rules := compiler.Resolve(m, inv)
	end := func(i int) verdict.End {
		return verdict.End{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i % workloads >> 8), byte(i % workloads)})}
	}
	http := &verdict.HTTP{Method: "GET", Path: "/v1/items", Host: "api.example:8080"}
	for _, test := range []struct {
		name string
		flow func(i int) verdict.Flow
	}{
		{"flow", func(i int) verdict.Flow {
			return verdict.Flow{From: end(i + 1), To: end(i), Proto: program.ProtoTCP, Port: uint16(1000 + i%12)}
		}},
		{"http", func(i int) verdict.Flow {
			return verdict.Flow{From: end(i + 1), To: end(i), Proto: program.ProtoTCP, Port: 8080, HTTP: http}
		}},
	} {
		b.Run(name+"-"+test.name, func(b *testing.B) {
			e := verdict.New(&rules)
			for i := range workloads {
				e.Decide(test.flow(i))
			}
			start, i := processorTime(b), 0
			for b.Loop() {
				e.Decide(test.flow(i % workloads))
				i++
			}
			b.ReportMetric(float64(i)/(processorTime(b)-start).Seconds(), "verdicts/cpu-s")
		})
	}
}

// processorTime is what the process has had, which other processes do not change.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatalf("getrusage: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
