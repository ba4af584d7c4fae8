// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// mention is what rules say that cuts the space: prefixes, the resolvers of the configuration and the
// internet.
type mention struct {
	prefixes       []netip.Prefix
	node, internet bool
}

// add takes in what a rule says.
func (m *mention) add(r *program.Rule) {
	for _, ps := range [][]program.Peer{r.Peers.Include, r.Peers.Except} {
		for _, p := range ps {
			switch p.Kind {
			case program.PeerPrefix:
				m.prefixes = append(m.prefixes, p.Prefix.Masked())
			case program.PeerInternet:
				m.internet = true
			case program.PeerDomain:
				m.internet = true
				m.prefixes = append(m.prefixes, p.Domain.Private...)
			}
		}
	}
	for i := range r.Resolvers {
		m.node = m.node || r.Resolvers[i].Node
		for _, p := range r.Resolvers[i].Peers.Include {
			if p.Kind == program.PeerPrefix {
				m.prefixes = append(m.prefixes, p.Prefix.Masked())
			}
		}
	}
}

// policy takes in what a policy says.
func (m *mention) policy(p *program.Policy) {
	for _, b := range []*program.Block{p.Egress, p.Ingress} {
		if b != nil {
			for i := range b.Rules {
				m.add(&b.Rules[i])
			}
		}
	}
}

// cutting is what the rules of a program mention, with how often, and so how the space is cut. The zero
// value mentions nothing.
type cutting struct {
	counts         map[netip.Prefix]int
	node, internet int
	prefixes       []netip.Prefix // those with a count, sorted; nil when they have changed
}

// update takes in the policies that came and leaves out those that went.
func (c *cutting) update(came, went []*policy) {
	for _, p := range came {
		c.count(&p.mention, 1)
	}
	for _, p := range went {
		c.count(&p.mention, -1)
	}
}

// count takes in a mention, or leaves it out again.
func (c *cutting) count(m *mention, one int) {
	if c.counts == nil {
		c.counts = make(map[netip.Prefix]int)
	}
	for _, p := range m.prefixes {
		n := c.counts[p]
		if n == 0 || n+one == 0 {
			c.prefixes = nil
		}
		if c.counts[p] = n + one; n+one == 0 {
			delete(c.counts, p)
		}
	}
	c.node += one * bit(m.node)
	c.internet += one * bit(m.internet)
}

// cuts returns the prefixes with the families, loopback, the resolvers of the configuration and the
// special-purpose blocks where a rule asks for them.
func (c *cutting) cuts(resolvers []netip.Addr) []netip.Prefix {
	if c.prefixes == nil {
		c.prefixes = make([]netip.Prefix, 0, len(c.counts))
		for p := range c.counts {
			c.prefixes = append(c.prefixes, p)
		}
		slices.SortFunc(c.prefixes, comparePrefixes)
	}
	always := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	}
	if c.node > 0 {
		for _, a := range resolvers {
			always = append(always, single(a))
		}
	}
	if c.internet > 0 {
		always = append(always, program.SpecialPurpose()...)
	}
	slices.SortFunc(always, comparePrefixes)
	return slices.Compact(merged(c.prefixes, always, comparePrefixes))
}
