// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// maxL7Ports bounds the ports of one rule with an L7 part: each may need a listener.
const maxL7Ports = 1024

// lint reports rules that cannot stand together, in every table of the inventory and in every
// policy by itself.
func (c *compilation) lint() {
	scopes := slices.Clone(c.scopes)
	for i := range c.rules.Policies {
		for _, d := range []program.Direction{program.Egress, program.Ingress} {
			p := &c.rules.Policies[i]
			if b := p.Block(d); b != nil && !p.Audit && slices.ContainsFunc(b.Rules, func(r program.Rule) bool { return r.L7 != nil || hasDomain(r.Peers) }) {
				s := newScope(&c.rules, d, []int{i}, nil)
				s.table = &program.Table{}
				s.classify(c.space)
				scopes = append(scopes, s)
			}
		}
	}
	seen := make(map[[2]program.RuleID]bool)
	for _, s := range scopes {
		for i, a := range s.rules {
			c.lintDNS(s, a)
			for _, b := range s.rules[i+1:] {
				if a.L7 == nil || b.L7 == nil || a.L7.Kind == b.L7.Kind {
					continue
				}
				if k := [2]program.RuleID{a.ID, b.ID}; !seen[k] && s.overlap(a, b) {
					seen[k] = true
					c.lintPair(a, b)
				}
			}
		}
	}
}

// lintPair reports two rules of one scope that overlap and ask for different kinds, a before b in file
// order. The checker has found the pairs that some inventory may have; here is the one in force.
func (c *compilation) lintPair(a, b *scopeRule) {
	at, before := c.places[b.ID], c.places[a.ID]
	c.diags.Add(diag.Diagnostic{
		Code: diag.L7Mixed, Span: at.span,
		Summary: fmt.Sprintf("this rule asks for %s where an earlier one asks for %s, with peers and ports in common", b.L7.Kind, a.L7.Kind),
		Help:    "give the two rules different ports, or take the peers of one from the other with `except`",
		Related: []diag.Related{{Span: before.span, Summary: "the rule for " + a.L7.Kind.String()}},
	})
}

// id finds the number of a rule's key.
func (c *compilation) id(key string) int {
	return slices.IndexFunc(c.rules.Sources, func(s program.Source) bool { return s.Key == key })
}

// halvesMixed reports two halves of one flow that ask for different kinds, so that it is denied. It
// hangs on who is in the inventory, and so is no error: a new workload must not stop a policy.
func (c *compilation) halvesMixed(egress, ingress program.Verdict) {
	first, second := egress, ingress
	other, at := c.id(first.Rule), c.id(second.Rule)
	if at < other {
		first, second, other, at = second, first, at, other
	}
	c.diags.Add(diag.Diagnostic{
		Code: diag.L7Mixed, Severity: diag.Warning, Span: c.places[at].span,
		Summary: fmt.Sprintf("this side of a flow asks for %s where the other side asks for %s: the flow is denied", second.L7, first.L7),
		Help:    "ask for one kind on both sides, or part them by ports",
		Related: []diag.Related{{Span: c.places[other].span, Summary: "the other side"}},
	})
}

// lintDNS reports rules that the DNS proxy, which owns port 53 of its subjects, cannot keep to.
func (c *compilation) lintDNS(s *scope, r *scopeRule) {
	if s.proxied && r.L7 != nil && r.L7.Kind != program.L7DNS && coversPort(r.Rule, program.ProtoTCP, portDNS) {
		c.diags.Add(diag.Diagnostic{
			Code: CodeDNSPort, Span: c.places[r.ID].rule.L4Span,
			Summary: fmt.Sprintf("tcp/53 of this subject goes to the DNS proxy and cannot be judged as %s", r.L7.Kind),
			Help:    "leave port 53 out: tcp/1-52, tcp/54-65535",
		})
	}
}

// overlap reports whether a flow may match both rules.
func (s *scope) overlap(a, b *scopeRule) bool {
	if !slices.ContainsFunc(a.L4, func(l program.L4) bool {
		return slices.ContainsFunc(b.L4, func(m program.L4) bool {
			return l.Any || m.Any || l.Proto == m.Proto && l.First <= m.Last && m.First <= l.Last
		})
	}) {
		return false
	}
	for i := range a.domains {
		for j := range b.domains {
			if domainsOverlap(&a.domains[i], &b.domains[j]) {
				return true
			}
		}
	}
	for i := range s.classes {
		cl := &s.classes[i]
		x, y := static(a, cl), static(b, cl)
		if x && y || cl.internet && (x && len(b.domains) > 0 || y && len(a.domains) > 0) {
			return true
		}
	}
	return sharePeer(a.Rule, b.Rule)
}

// sharePeer reports whether both rules have one and the same peer whole, so that they overlap even
// where the inventory has nobody of it.
func sharePeer(a, b *program.Rule) bool {
	return len(a.Peers.Except)+len(b.Peers.Except) == 0 && slices.ContainsFunc(a.Peers.Include, func(p program.Peer) bool {
		return slices.ContainsFunc(b.Peers.Include, func(q program.Peer) bool { return p.String() == q.String() })
	})
}
