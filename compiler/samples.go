// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// Sampler finds addresses of every cell into which the prefixes of some rules cut the address space.
// It is for those who must try what a verdict on a workload or the node depends on. Cells of a single
// address are none of its.
type Sampler struct{ cells *cells }

// NewSampler makes a sampler for rules.
func NewSampler(rules *program.Rules) *Sampler {
	var m mention
	for _, p := range rules.Policies {
		m.policy(p)
	}
	m.internet = false
	var c cutting
	c.count(&m, 1)
	return &Sampler{newCells(c.cuts(rules.Inventory.Resolvers))}
}

// Samples returns one address of each cell that is not among taken, of the internet where a cell has
// such.
func (s *Sampler) Samples(taken []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for i := range s.cells.prefixes {
		if found, ok := s.cells.sample(i, taken); ok {
			out = append(out, found)
		}
	}
	return out
}

// Internet returns an address of the internet that is not among taken, in the widest cell that has
// one; false when there is none.
func (s *Sampler) Internet(v4 bool, taken []netip.Addr) (netip.Addr, bool) {
	for i, p := range s.cells.prefixes {
		if p.Addr().Is4() != v4 {
			continue
		}
		if found, ok := s.cells.sample(i, taken); ok && !isSpecial(found) {
			return found, true
		}
	}
	return netip.Addr{}, false
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

// sample finds a free address of a cell: of the internet, else at its start or behind a narrower cell.
func (c *cells) sample(i int, taken []netip.Addr) (netip.Addr, bool) {
	p := c.prefixes[i]
	if p.IsSingleIP() {
		return netip.Addr{}, false
	}
	starts := append(ordinary(), p.Addr().Next())
	_, end := c.within(p)
	for _, narrower := range c.prefixes[i+1 : end] {
		starts = append(starts, lastOf(narrower).Next())
	}
	for _, special := range []bool{false, true} {
		for _, a := range starts {
			for ; a.IsValid() && p.Contains(a) && (special || !isSpecial(a)) && c.find(a) == i; a = a.Next() {
				if !slices.Contains(taken, a) {
					return a, true
				}
			}
		}
	}
	return netip.Addr{}, false
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
