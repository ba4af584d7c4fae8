// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/check"
)

// Sample is two addresses of one cell, alike to every rule.
type Sample [2]netip.Addr

// Samples returns addresses of every cell into which the rules of a module and the special-purpose
// blocks cut the address space, none of them among taken. It is for those who must try what a
// verdict depends on. Cells of a single address have none.
func Samples(m *check.Module, taken []netip.Addr) []Sample {
	rules := Resolve(m, program.Inventory{})
	cells := append(mentioned(&rules), program.SpecialPurpose()...)
	slices.SortFunc(cells, comparePrefixes)
	sp := &space{cells: slices.Compact(cells)}
	var out []Sample
	for i, c := range sp.cells {
		if s, ok := sp.sample(i, c, taken); ok {
			out = append(out, s)
		}
	}
	return out
}

// sample finds free addresses of a cell: at its start, else behind a narrower cell.
func (s *space) sample(i int, c netip.Prefix, taken []netip.Addr) (Sample, bool) {
	starts := []netip.Addr{c.Addr().Next()}
	for _, d := range s.cells {
		if d != c && covers(c, d) {
			starts = append(starts, lastOf(d).Next())
		}
	}
	for _, a := range starts {
		var out Sample
		found := 0
		for ; a.IsValid() && c.Contains(a) && s.cell(a) == i && found < len(out); a = a.Next() {
			if !slices.Contains(taken, a) {
				out[found] = a
				found++
			}
		}
		if found == len(out) {
			return out, true
		}
	}
	return Sample{}, false
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
