// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"net/netip"
	"slices"
)

// prefixes is a set of addresses as disjoint prefixes, sorted, neighbours joined. The zero value
// is empty.
type prefixes []netip.Prefix

// union returns the addresses of any of ps.
func union(ps []netip.Prefix) prefixes {
	sorted := slices.Clone(ps)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var out prefixes
	for _, p := range sorted {
		if len(out) > 0 && covers(out[len(out)-1], p) {
			continue
		}
		out = append(out, p)
		for len(out) > 1 {
			a, b := out[len(out)-2], out[len(out)-1]
			if a.Bits() != b.Bits() || a.Bits() == 0 {
				break
			}
			parent := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
			if !parent.Contains(b.Addr()) {
				break
			}
			out = append(out[:len(out)-2], parent)
		}
	}
	return out
}

// covers reports whether a holds all of b.
func covers(a, b netip.Prefix) bool { return a.Bits() <= b.Bits() && a.Contains(b.Addr()) }

// minus returns the addresses of s that are not in t.
func (s prefixes) minus(t prefixes) prefixes {
	var out prefixes
	for _, p := range s {
		out = without(out, p, t.overlapping(p))
	}
	return union(out)
}

// overlapping returns the part of s that shares addresses with p.
func (s prefixes) overlapping(p netip.Prefix) prefixes {
	from, _ := slices.BinarySearchFunc(s, p.Addr(), func(q netip.Prefix, a netip.Addr) int { return q.Addr().Compare(a) })
	to := from
	for to < len(s) && p.Contains(s[to].Addr()) {
		to++
	}
	if from > 0 && s[from-1].Overlaps(p) {
		from--
	}
	return s[from:to]
}

// without appends to out what is left of p.
func without(out prefixes, p netip.Prefix, t prefixes) prefixes {
	if len(t) == 0 {
		return append(out, p)
	}
	if slices.ContainsFunc(t, func(q netip.Prefix) bool { return covers(q, p) }) {
		return out
	}
	for _, half := range halves(p) {
		out = without(out, half, t.overlapping(half))
	}
	return out
}

// halves splits a prefix that is no single address.
func halves(p netip.Prefix) [2]netip.Prefix {
	bits := p.Bits() + 1
	b := p.Addr().AsSlice()
	b[(bits-1)/8] |= 0x80 >> ((bits - 1) % 8)
	upper, _ := netip.AddrFromSlice(b)
	return [2]netip.Prefix{netip.PrefixFrom(p.Addr(), bits), netip.PrefixFrom(upper, bits)}
}

// everything is all addresses of both families.
func everything() prefixes {
	return prefixes{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
}

// laterAddr returns the first address that two overlapping prefixes share.
func laterAddr(a, b netip.Prefix) netip.Addr {
	if a.Addr().Less(b.Addr()) {
		return b.Addr()
	}
	return a.Addr()
}
