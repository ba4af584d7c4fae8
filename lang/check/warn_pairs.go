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
	plain   *portIndex // allows without an L7 part
	asking  *portIndex // rules with one
	domains []*placed  // egress allows with domain peers
	open    []*placed  // egress allows of public addresses
	allows  []*placed
}

// pairs reports two rules that do not go together.
func (c *checker) pairs(rules []*placed) {
	x := indexes{plain: newPortIndex(), asking: newPortIndex()}
	var denies []*placed
	for _, n := range rules {
		if n.rule.L7 != nil && !n.audit() {
			x.asking.add(n)
		}
	}
	for _, n := range rules {
		if n.audit() {
			continue
		}
		switch n.rule.Action {
		case program.Deny:
			denies = append(denies, n)
		case program.Allow:
			c.indexAllow(&x, n)
		}
	}
	for _, n := range rules {
		if c.sound && n.audit() && n.rule.L7 != nil {
			c.auditPart(n, x.asking)
		}
		if !n.audit() && n.rule.Action == program.Allow && n.rule.L7 != nil {
			c.widened(n, x.plain)
		}
	}
	for _, n := range denies {
		c.denyAll(n, x.allows)
		if hasDomain(n.rule.Peers) {
			c.denyReachable(n, x)
		} else {
			c.resolverDenied(n, x.domains)
		}
	}
}

func (c *checker) indexAllow(x *indexes, n *placed) {
	x.allows = append(x.allows, n)
	if n.rule.L7 == nil && x.asking.mayMeet(n) {
		x.plain.add(n)
	}
	if n.dir != program.Egress {
		return
	}
	if hasDomain(n.rule.Peers) {
		x.domains = append(x.domains, n)
	}
	if has(n.rule.Peers, program.PeerAny, program.PeerWorld, program.PeerInternet, program.PeerPrefix) {
		x.open = append(x.open, n)
	}
}

// auditPart warns of an audit rule whose requests nobody sees: it sends no flow to the L7 proxy.
func (c *checker) auditPart(n *placed, asking *portIndex) {
	if asking.find(n, func(o *placed) bool { return o.rule.L7.Kind == n.rule.L7.Kind && c.meet(n, o) }) != nil {
		return
	}
	c.warnAt(diag.AuditL7, n.rule.L7Span, fmt.Sprintf("an audit rule sends no flow to the proxy, and no other rule has a %s part for these flows", n.rule.L7.Kind),
		"audit the whole flow, or write the rule without audit")
}

// widened warns of an allow without an L7 part, of the same or an earlier tier, that overlaps n.
func (c *checker) widened(n *placed, plain *portIndex) {
	o := plain.find(n, func(o *placed) bool { return o.policy.Tier <= n.policy.Tier && c.meetSurely(n, o) })
	if o == nil {
		return
	}
	at, other, what := n, o, "every request of a flow that both cover is allowed by a rule without such a part"
	if c.comparePlaces(o.rule.Span, n.rule.Span) > 0 {
		at, other, what = o, n, fmt.Sprintf("this allows every request of a flow whose requests another rule narrows by %s", partName(n.rule.L7))
	}
	c.warnAt(diag.L7Widened, at.rule.PlaceSpan, what+": "+c.witness(n, o), "give both the same part, or part them by peers or ports",
		diag.Related{Span: other.rule.PlaceSpan, Summary: "the other rule"})
}

// witness shows a flow that is in both rules, as far as that needs no inventory.
func (c *checker) witness(a, b *placed) string {
	text := ""
	for _, x := range a.rule.L4 {
		for _, y := range b.rule.L4 {
			if text == "" && (x.Any || y.Any || x.Proto == y.Proto && x.First <= y.Last && y.First <= x.Last) {
				port := max(x.First, y.First)
				if !y.Any && x.Any {
					x = y
				}
				text = "for instance on " + program.L4{Proto: x.Proto, First: max(port, 1), Last: max(port, 1)}.String()
			}
		}
	}
	towards := " to "
	if a.dir == program.Ingress {
		towards = " from "
	}
	for _, p := range a.addresses {
		if both := b.addresses.overlapping(p); len(both) > 0 {
			return text + towards + laterAddr(p, both[0]).String()
		}
	}
	return text + towards + a.rule.PeersText
}

// denyAll warns of a deny of any on any where the tier also allows for the subject.
func (c *checker) denyAll(n *placed, allows []*placed) {
	if !everyone(n.rule.Peers) || !slices.ContainsFunc(n.rule.L4, func(l program.L4) bool { return l.Any }) || n.rule.L7 != nil {
		return
	}
	for _, o := range allows {
		if o.dir == n.dir && o.policy.Tier == n.policy.Tier && c.subjectsMeet(n.policy.Subject, o.policy.Subject) {
			c.warnAt(diag.DenyAll, n.rule.PlaceSpan, fmt.Sprintf("a deny beats every allow of its tier: no %s rule of `%s` allows anything", n.dir, c.tiers[n.policy.Tier].Name),
				"remove it: what no rule allows is denied by the tier's default", diag.Related{Span: o.rule.PlaceSpan, Summary: "an allow that it beats"})
			return
		}
	}
}

// everyone reports whether peers are all of any: by name, or every address of both families.
func everyone(p program.Peers) bool {
	if len(p.Except) > 0 {
		return false
	}
	return has(p, program.PeerAny) || everyAddress(p.Include) || has(p, program.PeerWorkloads) && has(p, program.PeerHost) && has(p, program.PeerWorld)
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
func (c *checker) denyReachable(n *placed, x indexes) {
	c.know(n)
	names := func(o *placed) bool {
		c.know(o)
		return slices.ContainsFunc(n.domains, func(d program.Domain) bool {
			return slices.ContainsFunc(o.domains, func(e program.Domain) bool { return domainsMeet(d, e) })
		})
	}
	addresses := func(o *placed) bool {
		c.know(o)
		return o.addresses.meets(c.public)
	}
	for _, try := range []struct {
		list []*placed
		open func(*placed) bool
	}{{x.open, addresses}, {x.domains, names}} {
		for _, o := range try.list {
			if o != n && c.subjectsMeet(n.policy.Subject, o.policy.Subject) && try.open(o) {
				c.warnAt(diag.DenyReachable, n.rule.PlaceSpan, "a deny of a name refuses its question only: another rule can open the same address",
					"deny the address too, or allow names instead of addresses", diag.Related{Span: o.rule.PlaceSpan, Summary: "the rule that opens it"})
				return
			}
		}
	}
}

// resolverDenied warns of a deny that covers a resolver which a domain peer of the subject needs.
func (c *checker) resolverDenied(n *placed, domains []*placed) {
	if n.dir != program.Egress || n.rule.L7 != nil {
		return
	}
	for _, o := range domains {
		if n.policy.Tier > o.policy.Tier || !c.subjectsMeet(n.policy.Subject, o.policy.Subject) {
			continue
		}
		for _, r := range o.rule.Resolvers {
			if c.deniesResolver(n, r) {
				c.warnAt(diag.ResolverDenied, n.rule.PlaceSpan, fmt.Sprintf("this deny covers the resolver `%s`, which a domain peer of the subject needs", r.Name),
					"except the resolver from the deny", diag.Related{Span: o.rule.PlaceSpan, Summary: "the rule with the domain peer"})
				return
			}
		}
	}
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
			return n.workloads != nil && !met(p.Selector, not(n.workloads))
		case program.PeerPrefix:
			return n.addresses.meets(prefixes{p.Prefix})
		}
	}
	return false
}
