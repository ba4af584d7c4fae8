// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// oneFamily warns of a /0 where neither its rule nor another one of the block covers the other family.
func (c *checker) oneFamily(b *Block) {
	for _, r := range b.Rules {
		zero := slices.IndexFunc(r.Peers.Include, func(p program.Peer) bool { return p.Kind == program.PeerPrefix && p.Prefix.Bits() == 0 })
		if zero < 0 || c.wholeBeside(r, r.Peers.Include[zero].Prefix) {
			continue
		}
		prefix := r.Peers.Include[zero].Prefix
		if slices.ContainsFunc(b.Rules, func(o *Rule) bool {
			return o.Action == r.Action && otherFamily(r.L4, o.L4) && c.wholeBeside(o, prefix)
		}) {
			continue
		}
		other := "::/0"
		if !prefix.Addr().Is4() {
			other = "0.0.0.0/0"
		}
		term := slices.IndexFunc(r.Terms, func(t Term) bool { return t.WholeIPv4 || t.WholeIPv6 })
		c.warnAt(diag.OneFamily, r.Terms[term].Span, fmt.Sprintf("%s is one family alone", prefix), "add "+other+", or write world")
	}
}

// wholeBeside reports whether a rule names the whole public space of the family that a prefix is not of.
func (c *checker) wholeBeside(r *Rule, prefix netip.Prefix) bool {
	v4, v6 := c.whole(program.Peers{Include: r.Peers.Include})
	return v6 && prefix.Addr().Is4() || v4 && !prefix.Addr().Is4()
}

// otherFamily reports whether b is for one family what a is for the other: the same, or the ICMP of each.
func otherFamily(a, b []program.L4) bool {
	icmp := func(l program.L4) bool {
		return !l.Any && (l.Proto == program.ProtoICMP || l.Proto == program.ProtoICMPv6)
	}
	rest := func(ls []program.L4) []program.L4 { return slices.DeleteFunc(slices.Clone(ls), icmp) }
	return slices.Equal(rest(a), rest(b)) && slices.ContainsFunc(a, icmp) == slices.ContainsFunc(b, icmp)
}

// maxTogether bounds the rules whose peers are put together: more of them are compared by their texts alone.
const maxTogether = 200

// together is what some rules are for, put together.
type together struct {
	addresses prefixes
	others    []*program.Selector // each holds for whom one of the rules is not for
	host      bool
	names     []program.Peer // domains of rules that take none away
}

// together puts the peers of rules of a package together.
func (c *checker) together(pkg string, rules []*Rule) *together {
	t := &together{}
	var addresses []netip.Prefix
	for _, r := range rules {
		f := c.factsOfRule(pkg, r)
		addresses = append(addresses, f.addresses...)
		if f.workloads != nil {
			t.others = append(t.others, not(f.workloads))
		}
		t.host = t.host || f.host
		if !slices.ContainsFunc(r.Peers.Except, isDomain) {
			t.names = append(t.names, r.Peers.Include...)
		}
	}
	t.addresses = union(addresses)
	return t
}

// hold reports whether t has all peers of a rule that may have IPv6 addresses; f is what they are. A prefix that
// t lacks may hold the address of a workload; that does not count.
func (t *together) hold(r *Rule, f *peerFacts) bool {
	switch {
	case f.host && !t.host:
		return false
	case slices.ContainsFunc(f.addresses.minus(t.addresses), func(p netip.Prefix) bool { return !p.Addr().Is4() }):
		return false
	case f.workloads != nil && met(append([]*program.Selector{f.workloads}, t.others...)...):
		return false
	}
	return !namesLeft(program.Peers{Include: r.Peers.Include, Except: t.names})
}

func isDomain(p program.Peer) bool { return p.Kind == program.PeerDomain }
