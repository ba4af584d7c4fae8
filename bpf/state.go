// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// tableRef is what a row of a workload and direction says.
type tableRef struct {
	table uint32
	flags uint16
}

var (
	turns = turning[datapathTurn, uint32]{
		pack: func(now, next, from uint32) datapathTurn {
			return datapathTurn{Now: now, Next: next, From: from}
		},
		at: func(v datapathTurn, generation uint32) uint32 {
			if generation >= v.From {
				return v.Next
			}
			return v.Now
		},
	}
	owners = turning[datapathOwner, datapathParty]{
		pack: func(now, next datapathParty, from uint32) datapathOwner {
			return datapathOwner{Now: now, Next: next, From: from}
		},
		at: func(v datapathOwner, generation uint32) datapathParty {
			if generation >= v.From {
				return v.Next
			}
			return v.Now
		},
	}
	tableRefs = turning[datapathRow, tableRef]{
		pack: func(now, next tableRef, from uint32) datapathRow {
			return datapathRow{
				Now: now.table, NowFlags: now.flags, Next: next.table, NextFlags: next.flags, From: from,
			}
		},
		at: func(v datapathRow, generation uint32) tableRef {
			if generation >= v.From {
				return tableRef{v.Next, v.NextFlags}
			}
			return tableRef{v.Now, v.NowFlags}
		},
	}
)

// state is what the maps of policies hold.
type state struct {
	maps       *datapathMaps
	generation uint32
	exact      *mirror[datapathAddr, datapathOwner]
	prefixes   *mirror[datapathPrefix, datapathOwner]
	sockets    *mirror[datapathSocketKey, datapathTurn]
	devices    *mirror[uint32, datapathTurn]
	cgroups    *mirror[uint64, datapathTurn]
	rows       *mirror[datapathRowKey, datapathRow]
	members    *mirror[datapathMemberKey, uint32]
	entries    *mirror[datapathEntryKey, datapathEntry]
	ranges     *mirror[datapathRangeKey, datapathEntry]
	profiles   *mirror[datapathProfileKey, uint32]
}

func openState(maps *datapathMaps) (*state, error) {
	s := &state{maps: maps}
	if err := maps.Generation.Lookup(uint32(0), &s.generation); err != nil {
		return nil, fmt.Errorf("read generation: %w", err)
	}
	var errs [10]error
	s.exact, errs[0] = openMirror[datapathAddr, datapathOwner](datapathMapAddressesExact, maps.AddressesExact)
	s.prefixes, errs[1] = openMirror[datapathPrefix, datapathOwner](datapathMapAddressesLpm, maps.AddressesLpm)
	s.sockets, errs[2] = openMirror[datapathSocketKey, datapathTurn](datapathMapSockets, maps.Sockets)
	s.devices, errs[3] = openMirror[uint32, datapathTurn](datapathMapDevices, maps.Devices)
	s.cgroups, errs[4] = openMirror[uint64, datapathTurn](datapathMapCgroups, maps.Cgroups)
	s.rows, errs[5] = openMirror[datapathRowKey, datapathRow](datapathMapRows, maps.Rows)
	s.members, errs[6] = openMirror[datapathMemberKey, uint32](datapathMapMembers, maps.Members)
	s.entries, errs[7] = openMirror[datapathEntryKey, datapathEntry](datapathMapEntries, maps.Entries)
	s.ranges, errs[8] = openMirror[datapathRangeKey, datapathEntry](datapathMapRanges, maps.Ranges)
	s.profiles, errs[9] = openMirror[datapathProfileKey, uint32](datapathMapProfiles, maps.Profiles)
	return s, errors.Join(errs[:]...)
}

// write puts want beside what is live, to hold from the next generation on.
func (s *state) write(j *journal, want *target) error {
	gen := s.generation
	closed := func(datapathRowKey) tableRef { return tableRef{table: uint32(datapathTableTABLE_CLOSED)} }
	live := s.livePrefixes()
	coming := gen + 1
	return errors.Join(
		writeAll(j, s.members, want.members),
		writeAll(j, s.entries, want.entries),
		writeAll(j, s.ranges, want.ranges),
		writeAll(j, s.profiles, want.profiles),
		writeTurns(j, s.rows, tableRefs, gen, want.rows, closed, closed),
		writeTurns(j, s.sockets, turns, gen, want.sockets, none, none),
		writeTurns(j, s.devices, turns, gen, want.devices, none, none),
		writeTurns(j, s.cgroups, turns, gen, want.cgroups, none, none),
		writeTurns(j, s.exact, owners, gen, want.exact,
			func(a datapathAddr) datapathParty { return covering(live, addrPrefix(a)) },
			func(a datapathAddr) datapathParty { return covering(want.prefixes, addrPrefix(a)) }),
		writeTurns(j, s.prefixes, owners, gen, want.prefixes,
			func(p datapathPrefix) datapathParty { return covering(live, p) },
			func(p datapathPrefix) datapathParty { return covering(want.prefixes, p) }),
		s.writeUngoverned(coming, want.ungoverned),
	)
}

func none[K any](K) uint32 { return 0 }

// writeUngoverned writes the verdict of the coming generation; the other element is the live one's.
func (s *state) writeUngoverned(coming uint32, e datapathEntry) error {
	if err := s.maps.Ungoverned.Put(coming&1, datapathUngoverned{Entry: e}); err != nil {
		return fmt.Errorf("write the verdict on ungoverned directions: %w", err)
	}
	return nil
}

// livePrefixes are the prefixes of the live generation.
func (s *state) livePrefixes() map[datapathPrefix]datapathParty {
	live := make(map[datapathPrefix]datapathParty, len(s.prefixes.rows))
	for k, v := range s.prefixes.rows {
		live[k] = owners.at(v, s.generation)
	}
	return live
}

// covering returns what the longest of the prefixes says that holds p, p itself left out.
func covering(prefixes map[datapathPrefix]datapathParty, p datapathPrefix) datapathParty {
	for p.Length > 0 {
		p.Length--
		at, bit := p.Length/8, byte(0x80)>>(p.Length%8)
		p.Addr.Byte[at] &^= bit
		if who, ok := prefixes[p]; ok {
			return who
		}
	}
	return datapathParty{}
}

// addrPrefix is one bit longer than an address, so that covering finds its own prefix too.
func addrPrefix(a datapathAddr) datapathPrefix {
	p := datapathPrefix{Length: 128}
	p.Addr.Byte = a.Byte
	return p
}

// flip makes the coming generation the live one.
func (s *state) flip() error {
	if err := s.maps.Generation.Update(uint32(0), s.generation+1, ebpf.UpdateExist); err != nil {
		return fmt.Errorf("write generation: %w", err)
	}
	s.generation++
	return nil
}

// sweep leaves what want uses. No packet may still be judged by an older generation.
func (s *state) sweep(want *target) error {
	return errors.Join(
		settle(s.exact, owners, want.exact),
		settle(s.prefixes, owners, want.prefixes),
		settle(s.rows, tableRefs, want.rows),
		settle(s.sockets, turns, want.sockets),
		settle(s.devices, turns, want.devices),
		settle(s.cgroups, turns, want.cgroups),
		keepOnly(s.profiles, want.profiles),
		keepOnly(s.entries, want.entries),
		keepOnly(s.ranges, want.ranges),
		keepOnly(s.members, want.members),
	)
}
