// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

func limitCodes() []diag.Code {
	return []diag.Code{
		compiler.CodeLimitInventory, compiler.CodeLimitPrefixes, compiler.CodeLimitMembers, compiler.CodeLimitEntries, compiler.CodeLimitProfiles,
	}
}

// drawLimits draws limits of the size of a small universe, or none.
func drawLimits(t *rapid.T) (l program.Limits) {
	of := func(name string, least, most int) int {
		return rapid.IntRange(least, most).Draw(t, name)
	}
	switch rapid.IntRange(0, 6).Draw(t, "limit") {
	case 0:
		l.Workloads, l.Addresses = of("workloads", 3, 7), of("addresses", 8, 25)
	case 1:
		l.Prefixes, l.Sockets = of("prefixes", 8, 30), of("sockets", 2, 14)
	case 2:
		l.Members = of("members", 1, 80)
	case 3:
		l.Entries, l.Ranges = of("entries", 10, 300), of("ranges", 1, 40)
	case 4:
		l.Profiles, l.ProfileRows = of("profiles", 1, 10), of("rows", 1, 20)
	}
	return l
}

// withinLimits fails if a program is larger than it may be.
func withinLimits(t *rapid.T, p *program.Program, l program.Limits) {
	var n program.Limits
	for _, a := range p.Tables.Addresses {
		n.Addresses += bit(a.Prefix.IsSingleIP())
		n.Prefixes += bit(!a.Prefix.IsSingleIP())
	}
	for _, table := range p.Tables.Tables {
		n.Members += len(table.Members)
		for _, c := range table.Classes {
			for _, e := range c.Entries {
				entries, ranges := e.Rows()
				n.Entries, n.Ranges = n.Entries+entries, n.Ranges+ranges
			}
		}
	}
	for _, row := range []struct {
		what      string
		got, most int
	}{
		{"workloads", len(p.Tables.Subjects), l.Workloads},
		{"addresses", n.Addresses, l.Addresses},
		{"prefixes", n.Prefixes, l.Prefixes},
		{"sockets", len(p.Tables.Sockets), l.Sockets},
		{"members", n.Members, l.Members},
		{"entries", n.Entries, l.Entries},
		{"ranges", n.Ranges, l.Ranges},
		{"profile rows", len(p.Tables.ProfileRows), l.ProfileRows},
		{"profiles", len(p.Tables.Profiles), l.Profiles},
	} {
		if row.got > row.most {
			t.Errorf("the program has %d %s, and there may be %d", row.got, row.what, row.most)
		}
	}
}

// crowded is a policy for everyone on a node with some workloads, each with a label of its own.
func crowded(workloads int, egress, ingress []*check.Rule) (*check.Module, program.Inventory) {
	var inv program.Inventory
	for i := range workloads {
		inv.Workloads = append(inv.Workloads, program.Workload{
			Name: fmt.Sprintf("w%06d", i), Labels: labels("app", fmt.Sprint(i)), Interface: fmt.Sprintf("v%d", i),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})},
		})
	}
	return one(egress, ingress), inv
}

// elsewhere is an inventory of which the first workload alone is of this node.
func elsewhere(inv program.Inventory) program.Inventory {
	for i := range inv.Workloads[1:] {
		inv.Workloads[i+1].Interface = ""
	}
	return inv
}

func app(i int) program.Peer {
	return program.Peer{Kind: program.PeerSelector, Selector: &program.Selector{Op: program.OpIn, Key: "app", Values: []string{fmt.Sprint(i)}}}
}

// oddPorts are n ports of which no two are neighbours.
func oddPorts(n int) (out []program.L4) {
	for i := range n {
		out = append(out, tcp(uint16(2*i+1), uint16(2*i+1)))
	}
	return out
}

// What is far more than a node holds is refused before it is made, at the rule to which it is owed.
func TestNodeLimits(t *testing.T) {
	anyone := program.Peer{Kind: program.PeerAny}
	get := &program.L7{Kind: program.L7HTTP, HTTP: []program.HTTPRequest{{Path: program.PathPattern{Subtree: true}}}}
	small := rule(program.Allow, nil, tcp(80, 80), anyone)
	entries := func() (*check.Module, program.Inventory) { // 5,000 classes with 20,000 ports each
		var rules []*check.Rule
		for i := range 5_000 {
			rules = append(rules, rule(program.Allow, nil, tcp(uint16(2*i), uint16(2*i)), app(i))...)
		}
		many := rule(program.Allow, nil, tcp(1, 1), anyone)
		many[0].L4 = oddPorts(20_000)
		return crowded(5_000, append(rules, many...), nil)
	}
	tests := []struct {
		name string
		make func() (*check.Module, program.Inventory)
		code diag.Code
		rule string // part of the summary
	}{
		{"entries", entries, compiler.CodeLimitEntries, "rule p.all.egress#5001 makes 540,000 of them"},
		{"members", func() (*check.Module, program.Inventory) { // 1,000 tables with 2,000 members each
			m, inv := crowded(2_000, nil, nil)
			var all []program.Peer
			for i := range 2_000 {
				all = append(all, app(i))
			}
			m.Policies = nil
			for i := range 1_000 {
				b := &check.Block{Rules: []*check.Rule{{Action: program.Allow, Peers: program.Peers{Include: all}, L4: []program.L4{tcp(80, 80)}}}}
				m.Policies = append(m.Policies, &check.Policy{Name: fmt.Sprintf("p.p%d", i), Subject: program.Subject{Selector: app(i).Selector}, Egress: b})
			}
			return m, inv
		}, compiler.CodeLimitMembers, "rule p.p10.egress#1 speaks of 2,000 of them"},
		{"workloads", func() (*check.Module, program.Inventory) { return crowded(program.MaxWorkloads+1, small, nil) }, compiler.CodeLimitInventory, "16,385 workloads"},
		{"addresses", func() (*check.Module, program.Inventory) {
			m, inv := crowded(program.MaxAddresses+1, small, nil) // and ::1
			return m, elsewhere(inv)
		}, compiler.CodeLimitInventory, "65,538 addresses"},
		{"prefixes", func() (*check.Module, program.Inventory) {
			nets := rule(program.Allow, nil, tcp(80, 80))
			for i := range program.MaxPrefixes {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0}), 24)
				nets[0].Peers.Include = append(nets[0].Peers.Include, program.Peer{Kind: program.PeerPrefix, Prefix: p})
			}
			return crowded(1, nets, nil)
		}, compiler.CodeLimitPrefixes, "rule p.all.egress#1 names 65,536 of them"},
		{"profiles", func() (*check.Module, program.Inventory) { // 1,000 classes with 1,000 ports each
			var rules []*check.Rule
			for i := range 1_000 {
				rules = append(rules, rule(program.Allow, get, tcp(1000, 1999), app(i))...)
			}
			m, inv := crowded(1_000, nil, rules)
			return m, elsewhere(inv)
		}, compiler.CodeLimitProfiles, "rule p.all.ingress#101 asks for 1,000 of them"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, inv := test.make()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, diags := compiler.Compile(m, inv)
			runtime.ReadMemStats(&after)
			i := slices.IndexFunc(diags, func(d diag.Diagnostic) bool { return d.Code == test.code && d.Severity == diag.Error })
			if p != nil || i < 0 || !strings.Contains(diags[i].Summary, test.rule) {
				t.Fatalf("Compile gave %v, want the error %s with %q", diags, test.code, test.rule)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 2048 {
				t.Errorf("it took %d MiB to refuse it", used)
			} else {
				t.Logf("%d MiB: %v", used, diags[i].Summary)
			}
		})
	}
}

// What a run puts off, because an earlier table is too much, is right in the next one: tables whose peers
// changed, those that are new, and those whose subjects left and came back.
func TestPutOff(t *testing.T) {
	const apps = 6
	policy := func(i, more int) *check.Policy {
		r := &check.Rule{Action: program.Allow, Peers: program.Peers{Include: []program.Peer{app(100 + i)}}, L4: []program.L4{tcp(80, 80)}}
		for j := range more {
			r.Peers.Include = append(r.Peers.Include, app(200+j))
		}
		return &check.Policy{
			Name: fmt.Sprintf("p.p%d", i), Subject: program.Subject{Selector: app(i).Selector}, Egress: &check.Block{Rules: []*check.Rule{r}},
		}
	}
	small := one(nil, nil)
	small.Policies = nil
	for i := range apps {
		small.Policies = append(small.Policies, policy(i, 0))
	}
	inventory := func(here, peers int) program.Inventory {
		_, inv := crowded(100+peers, nil, nil)
		for i := range inv.Workloads[here:] {
			inv.Workloads[here+i].Interface = ""
		}
		for i := 200; i < 230; i++ {
			inv.Workloads = append(inv.Workloads, program.Workload{
				Name: fmt.Sprintf("x%d", i), Labels: labels("app", fmt.Sprint(i)), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 9, 0, byte(i)})},
			})
		}
		return inv
	}
	more := *small
	more.Policies = append(slices.Clone(small.Policies), policy(apps, 0))
	for large := range apps {
		with := more
		with.Policies = slices.Clone(more.Policies)
		with.Policies[large] = policy(large, 30)
		memory := compiler.Memory{Limits: program.Limits{Members: 20}}
		for step, run := range []struct {
			module *check.Module
			inv    program.Inventory
			fits   bool
		}{
			{small, inventory(apps+1, 2), true},
			{&with, inventory(apps+1, 2), false},
			{&more, inventory(apps+1, apps), true},
			{&with, inventory(apps-2, apps), large >= apps-2},
			{small, inventory(apps+1, apps), true},
		} {
			fresh := compiler.Memory{Limits: memory.Limits}
			want, wantDiags := fresh.Compile(run.module, run.inv)
			got, diags := memory.Compile(run.module, run.inv)
			if diff := gocmp.Diff(wantDiags, diags); diff != "" || (got != nil) != run.fits {
				t.Fatalf("large %d, step %d: fits %v, diagnostics (-want +got):\n%s", large, step, got != nil, diff)
			}
			if diff := gocmp.Diff(dump(t, want), dump(t, got)); diff != "" {
				t.Fatalf("large %d, step %d: program (-want +got):\n%s", large, step, diff)
			}
		}
	}
}
