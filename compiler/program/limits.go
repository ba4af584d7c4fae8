// SPDX-License-Identifier: Apache-2.0

package program

// What a node holds of one program. While it switches, a node holds two generations side by side, and
// in the worst case they have nothing in common: each map of the datapath has twice the room. A test
// of package bpf compares both.
const (
	MaxWorkloads   = 16_384  // of this node, behind devices and in cgroups
	MaxAddresses   = 65_536  // single addresses: of workloads, of the node, named by rules
	MaxPrefixes    = 65_536  // wider than an address
	MaxSockets     = 32_768  // workloads in cgroups times the prefixes in which the node has an address
	MaxMembers     = 524_288 // of all tables
	MaxEntries     = 524_288 // of all tables, those of ranges apart
	MaxRanges      = 131_072 // of all tables: ranges of ports, cut into blocks of a power of two
	MaxProfileRows = 65_536
	MaxProfiles    = 16_384 // listeners of the L7 proxy, if it is given the ports for as many
)

// What a verdict and a listener can tell apart, whatever the node holds.
const (
	MaxTiers    = 63
	MaxRules    = 65_535 // of one table
	MaxNameSets = 4_096  // combinations of domain peers of one table
	MaxL7Ports  = 1_024  // of one rule with an L7 part: each may need a listener
)

// Limits bound a program. A field that is 0 is the constant of its name.
type Limits struct {
	Workloads   int `json:"workloads,omitempty"`
	Addresses   int `json:"addresses,omitempty"`
	Prefixes    int `json:"prefixes,omitempty"`
	Sockets     int `json:"sockets,omitempty"`
	Members     int `json:"members,omitempty"`
	Entries     int `json:"entries,omitempty"`
	Ranges      int `json:"ranges,omitempty"`
	Rules       int `json:"rules,omitempty"`
	ProfileRows int `json:"profile_rows,omitempty"`
	Profiles    int `json:"profiles,omitempty"`
}

// OfNode returns l with the constants in place of zeros.
func (l Limits) OfNode() Limits {
	for _, field := range []struct {
		limit    *int
		constant int
	}{
		{&l.Workloads, MaxWorkloads},
		{&l.Addresses, MaxAddresses},
		{&l.Prefixes, MaxPrefixes},
		{&l.Sockets, MaxSockets},
		{&l.Members, MaxMembers},
		{&l.Entries, MaxEntries},
		{&l.Ranges, MaxRanges},
		{&l.Rules, MaxRules},
		{&l.ProfileRows, MaxProfileRows},
		{&l.Profiles, MaxProfiles},
	} {
		if *field.limit == 0 {
			*field.limit = field.constant
		}
	}
	return l
}

// Rows returns how much e takes of MaxEntries and of MaxRanges.
func (e Entry) Rows() (entries, ranges int) {
	if e.First == e.Last || e.First == 0 && e.Last == 0xffff {
		return 1, 0
	}
	for at := int(e.First); at <= int(e.Last); ranges++ {
		block := 1
		for at%(2*block) == 0 && at+2*block-1 <= int(e.Last) {
			block *= 2
		}
		at += block
	}
	return 0, ranges
}
