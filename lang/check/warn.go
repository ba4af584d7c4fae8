// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// allSound reports whether every policy of the run was read and is without an error.
func (c *checker) allSound(m *Module) bool {
	return !slices.ContainsFunc(c.files, func(f *lang.File) bool { return f.Broken }) &&
		!slices.ContainsFunc(m.Policies, func(p *Policy) bool {
			return !p.known || p.Ingress != nil && !p.Ingress.sound || p.Egress != nil && !p.Egress.sound
		})
}

// warnings reports what may stand and is probably not meant, as far as it does not hang on an error.
func (c *checker) warnings(m *Module) {
	c.oneDirection(m)
	c.pairs(c.placed)
	for _, f := range c.files {
		k := c.memory.files[f]
		if !k.looked {
			before := len(c.diags)
			c.about(k)
			k.about, k.looked = slices.Clone(c.diags[before:]), k.checked
			continue
		}
		c.diags = append(c.diags, k.about...)
	}
}

// about reports what concerns one rule or block of a file.
func (c *checker) about(k *kept) {
	for _, p := range k.policies {
		for _, b := range []*Block{p.Egress, p.Ingress} {
			if b != nil && b.sound {
				c.oneFamily(b)
				c.icmpFamilies(p.Package, b)
			}
		}
	}
	for _, n := range k.placed {
		c.wideDomains(n.rule)
		if n.dir == program.Egress && n.rule.Action == program.Allow {
			c.metadata(n.rule)
		}
	}
}

// metadataAddresses are those at which clouds give out credentials.
func metadataAddresses() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("fd00:ec2::254"),
	}
}

// metadata warns of an egress allow that covers a metadata address without naming it.
func (c *checker) metadata(r *Rule) {
	covers := func(ps []program.Peer, a netip.Addr) bool {
		return slices.ContainsFunc(ps, func(p program.Peer) bool {
			switch p.Kind {
			case program.PeerAny, program.PeerWorld:
				return true
			case program.PeerPrefix:
				return p.Prefix.Contains(a)
			case program.PeerDomain:
				return slices.ContainsFunc(p.Domain.Private, func(q netip.Prefix) bool { return q.Contains(a) })
			}
			return false
		})
	}
	is := func(a netip.Addr) func(netip.Prefix) bool {
		return func(p netip.Prefix) bool { return p.IsSingleIP() && p.Addr() == a }
	}
	named := func(a netip.Addr) bool {
		return slices.ContainsFunc(r.Peers.Include, func(p program.Peer) bool {
			return p.Kind == program.PeerPrefix && is(a)(p.Prefix) || p.Kind == program.PeerDomain && slices.ContainsFunc(p.Domain.Private, is(a))
		})
	}
	var open []string
	for _, a := range metadataAddresses() {
		if covers(r.Peers.Include, a) && !covers(r.Peers.Except, a) && !named(a) {
			open = append(open, a.String())
		}
	}
	if len(open) == 0 {
		return
	}
	help := "write except " + strings.Join(open, ", ")
	switch {
	case has(r.Peers, program.PeerWorld):
		help = "write internet, or except " + strings.Join(open, ", ")
	case hasDomain(r.Peers):
		help = "write narrower private prefixes"
	}
	c.warnAt(diag.Metadata, r.PeersSpan, fmt.Sprintf("this allow covers the metadata address %s, where clouds give out credentials", open[0]), help)
}

// wideDomains warns of *.x and **.x for a registrable x that no peer of the rule names: the apex is
// not included, which is seldom meant.
func (c *checker) wideDomains(r *Rule) {
	var named map[program.NamePattern]bool
	for _, p := range r.Patterns {
		rest, ok := strings.CutPrefix(strings.TrimPrefix(string(p.Pattern), "*"), "*.")
		if !ok {
			rest, ok = strings.CutPrefix(string(p.Pattern), "*.")
		}
		if !ok || p.Use != "peer" || rest != p.Registrable {
			continue
		}
		if named == nil {
			named = map[program.NamePattern]bool{}
			for _, q := range r.Patterns {
				named[q.Pattern] = named[q.Pattern] || q.Use == "peer"
			}
		}
		if !named[program.NamePattern(rest)] {
			c.warnAt(diag.WideDomain, p.Span, fmt.Sprintf("%q covers every name below %s and not %s itself", string(p.Pattern), rest, rest),
				fmt.Sprintf("add %q if it is meant too, or name the hosts", rest))
		}
	}
}
