// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"net/netip"
	"testing"

	"mpol/compiler/program"
)

// The maps of the compiled object hold two generations of the largest program.
func TestLimits(t *testing.T) {
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]uint32{
		datapathMapAddressesExact: program.MaxAddresses,
		datapathMapAddressesLpm:   program.MaxPrefixes,
		datapathMapSockets:        program.MaxSockets,
		datapathMapDevices:        program.MaxWorkloads,
		datapathMapCgroups:        program.MaxWorkloads,
		datapathMapRows:           2 * program.MaxWorkloads, // one a direction
		datapathMapMembers:        program.MaxMembers,
		datapathMapEntries:        program.MaxEntries,
		datapathMapRanges:         program.MaxRanges,
		datapathMapProfiles:       program.MaxProfileRows,
	} {
		if got, want := spec.Maps[name].MaxEntries, 2*most; got != want {
			t.Errorf("map %s has room for %d rows, want %d: change maps.h and compiler/program/limits.go together", name, got, want)
		}
	}
}

// The compiler counts the rows that an entry becomes.
func TestEntryRows(t *testing.T) {
	for _, ports := range [][2]uint16{
		{0, 0},
		{80, 80},
		{0, 65535},
		{0, 65534},
		{1, 65535},
		{1, 65534},
		{8192, 16383},
		{20001, 30002},
		{65534, 65535},
		{65535, 65535},
		{0, 1},
		{32767, 32768},
	} {
		l := &lowering{
			target: &target{entries: map[datapathEntryKey]datapathEntry{}, ranges: map[datapathRangeKey]datapathEntry{}},
			table:  []uint32{1}, flags: []uint16{0},
		}
		e := program.Entry{Proto: program.ProtoTCP, First: ports[0], Last: ports[1]}
		if err := l.lowerEntry(0, 1, e); err != nil && e.Verdict.Rule != "" {
			t.Fatal(err)
		}
		entries, ranges := e.Rows()
		if entries != len(l.entries) || ranges != len(l.ranges) {
			t.Errorf("ports %d-%d: counted %d and %d rows, there are %d and %d", ports[0], ports[1], entries, ranges, len(l.entries), len(l.ranges))
		}
	}
}

// What the compiler counts is what the maps get.
func TestRowsAreCounted(t *testing.T) {
	addr := netip.MustParseAddr
	labels := func(app string) []program.Label { return []program.Label{{Key: "app", Value: app}} }
	p, diags := compileText(program.Inventory{
		Workloads: []program.Workload{
			{Name: "svc", Labels: labels("svc"), Cgroup: "svc"},
			{Name: "w1", Labels: labels("w1"), Interface: "w1", Addresses: []netip.Addr{addr("10.0.0.1"), addr("2001:db8::1")}},
			{Name: "w2", Labels: labels("w2"), Interface: "w2", Addresses: []netip.Addr{addr("10.0.0.2")}},
			{Name: "w3", Labels: labels("w3"), Addresses: []netip.Addr{addr("10.0.0.3")}},
		},
		Node: []netip.Addr{addr("192.0.2.1")}, Resolvers: []netip.Addr{addr("192.0.2.53")},
	}, drawnPolicies)
	if p == nil {
		t.Fatal(diags)
	}
	got, err := lower(p, &book{}, func(string) (uint16, bool) { return 1, true })
	if err != nil {
		t.Fatal(err)
	}
	var single, wide, entries, ranges, members int
	for _, a := range p.Tables.Addresses {
		switch {
		case a.Prefix.Addr().Is4In6(): // counted, and left out
		case a.Prefix.IsSingleIP():
			single++
		default:
			wide++
		}
	}
	for _, table := range p.Tables.Tables {
		members += len(table.Members)
		for _, c := range table.Classes {
			for _, e := range c.Entries {
				exact, cut := e.Rows()
				entries, ranges = entries+exact, ranges+cut
			}
		}
	}
	for what, n := range map[string][2]int{
		"addresses": {len(got.exact), single},
		"prefixes":  {len(got.prefixes), wide},
		"sockets":   {len(got.sockets), len(p.Tables.Sockets)},
		"places":    {len(got.rows), 2 * len(p.Tables.Subjects)},
		"members":   {len(got.members), members},
		"entries":   {len(got.entries), entries},
		"ranges":    {len(got.ranges), ranges},
		"profiles":  {len(got.profiles), len(p.Tables.ProfileRows)},
	} {
		if n[0] != n[1] || n[0] == 0 {
			t.Errorf("%d rows of %s, and %d were counted", n[0], what, n[1])
		}
	}
}
