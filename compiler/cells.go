// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// cells are the address space as the rules divide it. A cell is the set of addresses that have the
// same longest prefix among those that the rules mention.
type cells struct {
	prefixes []netip.Prefix // sorted, each once
	parents  []int          // the narrowest wider cell, -1
	keys     []string
	special  []bool // inside of a special-purpose block
}

// newCells makes the cells of some prefixes, sorted, each once.
func newCells(ps []netip.Prefix) *cells {
	c := &cells{prefixes: ps}
	c.parents = nesting(len(c.prefixes), func(i int) netip.Prefix { return c.prefixes[i] })
	return c
}

// name makes the keys of the cells, and says which are special.
func (c *cells) name() {
	cut := make([][]string, len(c.prefixes))
	for i, parent := range c.parents {
		if parent >= 0 {
			cut[parent] = append(cut[parent], c.prefixes[i].String())
		}
	}
	special := program.SpecialPurpose()
	for i, p := range c.prefixes {
		c.keys = append(c.keys, cellKey(p, cut[i]))
		c.special = append(c.special, slices.ContainsFunc(special, func(q netip.Prefix) bool { return covers(q, p) }))
	}
}

// nesting returns for each of n sorted prefixes the index of the narrowest one around it, -1 if there
// is none.
func nesting(n int, prefix func(int) netip.Prefix) []int {
	parents := make([]int, n)
	around := -1
	for i := range n {
		for around >= 0 && !covers(prefix(around), prefix(i)) {
			around = parents[around]
		}
		parents[i], around = around, i
	}
	return parents
}

// find returns the longest cell that contains a: the last that begins at or before a, or one around it.
func (c *cells) find(a netip.Addr) int {
	i, _ := slices.BinarySearchFunc(c.prefixes, a, func(p netip.Prefix, a netip.Addr) int {
		return cmp.Or(p.Addr().Compare(a), -1)
	})
	for i--; i >= 0 && !c.prefixes[i].Contains(a); {
		i = c.parents[i]
	}
	return i
}

// within returns the range of the cells that lie in p, which is one of them.
func (c *cells) within(p netip.Prefix) (first, end int) {
	first, _ = slices.BinarySearchFunc(c.prefixes, p, comparePrefixes)
	for end = first; end < len(c.prefixes) && covers(p, c.prefixes[end]); {
		end++
	}
	return first, end
}

// comparePrefixes sorts by address, then wider first.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func single(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen())
}

// cellKey names a cell by its prefix and by the widest narrower cells that are cut out of it, in
// full or, where they are many, by their hash. Two programs may mention different prefixes and so
// give one prefix different extents; with what is cut out in the key, equal keys mean equal sets of
// addresses.
func cellKey(p netip.Prefix, cut []string) string {
	switch {
	case len(cut) == 0:
		return p.String()
	case len(cut) <= 3:
		return p.String() + " less " + strings.Join(cut, ", ")
	}
	return fmt.Sprintf("%s less %d prefixes %s", p, len(cut), digest(strings.Join(cut, ",")))
}

// digest names a text by 128 bits of its SHA-256, in hexadecimal.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
