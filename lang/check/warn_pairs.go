// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// indexes are the rules that decide, by what a warning asks of them.
type indexes struct {
	asking [program.L7DNS + 1]ruleIndex // rules with one, by its kind
	allows [2]subjectIndex              // by direction, told apart by reach
}

// pairs reports two rules that do not go together.
func (c *checker) pairs(rules []*placed) {
	var x indexes
	var allows, denies []*placed
	for _, n := range rules {
		if n.audit() {
			continue
		}
		if n.rule.L7 != nil {
			x.asking[n.rule.L7.Kind].add(n)
		}
		switch n.rule.Action {
		case program.Allow:
			allows = append(allows, n)
		case program.Deny:
			denies = append(denies, n)
		}
	}
	for _, n := range rules {
		if n.rule.L7 != nil && n.audit() && c.sound {
			c.auditPart(n, &x.asking[n.rule.L7.Kind])
		}
	}
	c.allWidened(allows)
	if len(denies) == 0 {
		return
	}
	for _, n := range allows {
		g := x.allows[n.dir].group(c, n, c.reach(n))
		if hasDomain(n.rule.Peers) {
			c.know(n)
			g.peers.add(n, "")
		}
	}
	for _, n := range denies {
		c.denyAll(n, &x.allows[n.dir])
		if hasDomain(n.rule.Peers) {
			c.denyReachable(n, &x.allows[program.Egress])
		} else {
			c.resolverDenied(n, &x.allows[program.Egress])
		}
	}
}

// reach says what denies ask of an allow: whether it opens a public address, and who answers for its names.
func (c *checker) reach(n *placed) string {
	text := ""
	if c.opens(n) {
		text = "public "
	}
	for _, r := range n.rule.Resolvers {
		text += r.Name + " "
	}
	return text
}

// auditPart warns of an audit rule whose requests nobody sees: it sends no flow to the L7 proxy.
func (c *checker) auditPart(n *placed, asking *ruleIndex) {
	if asking.find(c, n) != nil {
		return
	}
	c.warnAt(diag.AuditL7, n.rule.L7Span, fmt.Sprintf("an audit rule sends no flow to the proxy, and no other rule has a %s part for these flows", n.rule.L7.Kind),
		"audit the whole flow, or write the rule without audit")
}

// denyAll warns of a deny of any on any where the tier also allows for the subject.
func (c *checker) denyAll(n *placed, allows *subjectIndex) {
	if !everyone(n.rule.Peers) || !slices.ContainsFunc(n.rule.L4, func(l program.L4) bool { return l.Any }) || n.rule.L7 != nil {
		return
	}
	if o := allows.first(c, n, func(o *placed) bool { return o.policy.Tier == n.policy.Tier }); o != nil {
		c.warnAt(diag.DenyAll, n.rule.PlaceSpan, fmt.Sprintf("a deny beats every allow of its tier: no %s rule of `%s` allows anything", n.dir, c.tiers[n.policy.Tier].Name),
			"remove it: what no rule allows is denied by the tier's default", diag.Related{Span: o.rule.PlaceSpan, Summary: "an allow that it beats"})
	}
}

// everyone reports whether peers are all of any: by name, part by part, or every address of both families.
func everyone(p program.Peers) bool {
	if len(p.Except) > 0 {
		return false
	}
	if has(p, program.PeerAny) || everyAddress(p.Include) {
		return true
	}
	return has(p, program.PeerHost) && has(p, program.PeerWorld) && has(p, program.PeerWorkloads, program.PeerSelector) && !met(not(workloadsOf(p)))
}

// everyAddress reports whether the prefixes among ps are all addresses.
func everyAddress(ps []program.Peer) bool {
	var of []netip.Prefix
	for _, p := range ps {
		if p.Kind == program.PeerPrefix {
			of = append(of, p.Prefix)
		}
	}
	return len(of) > 1 && len(everything().minus(union(of))) == 0
}

// denyReachable warns of a deny to a name whose addresses the subject may reach all the same: a deny
// of a name refuses its question and takes no address away.
func (c *checker) denyReachable(n *placed, allows *subjectIndex) {
	o := allows.first(c, n, c.opens)
	if o == nil {
		c.know(n)
		o = allows.firstName(c, n)
	}
	if o != nil {
		c.warnAt(diag.DenyReachable, n.rule.PlaceSpan, "a deny of a name refuses its question only: another rule can open the same address",
			"deny the address too, or allow names instead of addresses", diag.Related{Span: o.rule.PlaceSpan, Summary: "the rule that opens it"})
	}
}

// opens reports whether the addresses of a rule meet the public space.
func (c *checker) opens(n *placed) bool {
	if !has(n.rule.Peers, program.PeerAny, program.PeerWorld, program.PeerInternet, program.PeerPrefix) {
		return false
	}
	c.know(n)
	return n.facts.public
}

// resolverDenied warns of a deny that covers a resolver which a domain peer of the subject needs.
func (c *checker) resolverDenied(n *placed, allows *subjectIndex) {
	if n.dir != program.Egress || n.rule.L7 != nil {
		return
	}
	denied := func(r program.Resolver) bool { return c.deniesResolver(n, r) }
	o := allows.first(c, n, func(o *placed) bool {
		return n.policy.Tier <= o.policy.Tier && slices.ContainsFunc(o.rule.Resolvers, denied)
	})
	if o == nil {
		return
	}
	r := o.rule.Resolvers[slices.IndexFunc(o.rule.Resolvers, denied)]
	c.warnAt(diag.ResolverDenied, n.rule.PlaceSpan, fmt.Sprintf("this deny covers the resolver `%s`, which a domain peer of the subject needs", r.Name),
		"except the resolver from the deny", diag.Related{Span: o.rule.PlaceSpan, Summary: "the rule with the domain peer"})
}

// deniesResolver reports whether n surely covers questions to r. Where the node's resolvers are is
// not known here.
func (c *checker) deniesResolver(n *placed, r program.Resolver) bool {
	l4 := r.L4
	if r.Node {
		l4 = []program.L4{{Proto: program.ProtoUDP, First: 53, Last: 53}, {Proto: program.ProtoTCP, First: 53, Last: 53}}
	}
	if !portsMeet(n.rule.L4, l4) {
		return false
	}
	if everyone(n.rule.Peers) {
		return true
	}
	c.know(n)
	for _, p := range r.Peers.Include {
		switch p.Kind {
		case program.PeerHost:
			return has(n.rule.Peers, program.PeerHost, program.PeerAny) && !slices.ContainsFunc(n.rule.Peers.Except, func(q program.Peer) bool { return q.Kind == program.PeerHost })
		case program.PeerSelector:
			return n.facts.workloads != nil && !met(p.Selector, not(n.facts.workloads))
		case program.PeerPrefix:
			return n.facts.addresses.meets(prefixes{p.Prefix})
		}
	}
	return false
}
