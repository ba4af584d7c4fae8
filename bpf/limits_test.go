// SPDX-License-Identifier: Apache-2.0

package bpf

import (
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
