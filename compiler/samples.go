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

// Samples returns addresses of every cell into which the prefixes of the module's rules cut the
// address space, none of them among taken, of the internet where a cell has such. It is for those who
// must try what a verdict on a workload or the node depends on. Cells of a single address have none.
func Samples(m *check.Module, taken []netip.Addr) []Sample {
	return NewSampler(m).Samples(taken)
}

// Sampler finds samples for one module.
type Sampler struct{ space space }

// NewSampler makes a sampler.
func NewSampler(m *check.Module) *Sampler {
	rules := Resolve(m, program.Inventory{})
	cells, _ := written(&rules)
	slices.SortFunc(cells, comparePrefixes)
	return &Sampler{space{cells: slices.Compact(cells)}}
}

// Samples is the function of the same name.
func (s *Sampler) Samples(taken []netip.Addr) []Sample {
	var out []Sample
	for i, c := range s.space.cells {
		if found, ok := s.space.sample(i, c, taken); ok {
			out = append(out, found)
		}
	}
	return out
}

// ordinary are addresses of the internet, far from each other.
func ordinary() []netip.Addr {
	var as []netip.Addr
	for _, t := range []string{
		"192.0.2.1", "198.51.100.1", "203.0.113.1", "1.0.0.1", "11.0.0.1", "100.0.0.1", "126.0.0.1", "223.0.0.1",
		"2001:db8::1", "2400::1", "2a00::1",
	} {
		as = append(as, netip.MustParseAddr(t))
	}
	return as
}

// sample finds free addresses of a cell: of the internet, else at its start or behind a narrower cell.
func (s *space) sample(i int, c netip.Prefix, taken []netip.Addr) (Sample, bool) {
	starts := []netip.Addr{c.Addr().Next()}
	for _, d := range s.cells {
		if d != c && covers(c, d) {
			starts = append(starts, lastOf(d).Next())
		}
	}
	for _, special := range []bool{false, true} {
		for _, a := range append(ordinary(), starts...) {
			if out, ok := s.sampleAt(i, a, special, taken); ok {
				return out, true
			}
		}
	}
	return Sample{}, false
}

// sampleAt finds free neighbours from a on.
func (s *space) sampleAt(i int, a netip.Addr, special bool, taken []netip.Addr) (out Sample, ok bool) {
	found := 0
	for ; a.IsValid() && s.cells[i].Contains(a) && s.cell(a) == i && (special || !isSpecial(a)); a = a.Next() {
		if slices.Contains(taken, a) {
			continue
		}
		if out[found] = a; found == len(out)-1 {
			return out, true
		}
		found++
	}
	return Sample{}, false
}

func isSpecial(a netip.Addr) bool {
	return slices.ContainsFunc(program.SpecialPurpose(), func(p netip.Prefix) bool { return p.Contains(a) })
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
