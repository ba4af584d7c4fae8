// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// asked is a rule with an L7 part, with what decides whether it meets another.
type asked struct {
	rule    *Rule
	subject program.Subject
	dir     program.Direction
}

// mixed reports rules of two L7 kinds that one flow could meet: it would have to speak both. What
// only an inventory could tell apart counts as met.
func (c *checker) mixed(m *Module) {
	seen := map[program.L7Kind][]asked{}
	for _, p := range m.Policies {
		for dir, b := range []*Block{program.Egress: p.Egress, program.Ingress: p.Ingress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				if r.L7 == nil {
					continue
				}
				n := asked{rule: r, subject: p.Subject, dir: program.Direction(dir)}
				other := seen[program.L7HTTP+program.L7TLS-r.L7.Kind]
				if i := slices.IndexFunc(other, func(o asked) bool { return c.meet(n, o) }); i >= 0 {
					c.errorAt(diag.L7Mixed, r.Span, fmt.Sprintf("a flow that this rule and another apply to would have to speak %s and %s", r.L7.Kind, other[i].rule.L7.Kind),
						"part them by peers or ports", diag.Related{Span: other[i].rule.Span, Summary: "the other rule"})
				}
				seen[r.L7.Kind] = append(seen[r.L7.Kind], n)
			}
		}
	}
}

// meet reports whether one flow of one subject can be in both rules.
func (c *checker) meet(a, b asked) bool {
	return a.dir == b.dir && portsMeet(a.rule.L4, b.rule.L4) &&
		subjectsMeet(a.subject, b.subject) && c.peersMeet(a.rule.Peers, b.rule.Peers)
}

func portsMeet(a, b []program.L4) bool {
	return slices.ContainsFunc(a, func(x program.L4) bool {
		return slices.ContainsFunc(b, func(y program.L4) bool {
			return x.Proto == y.Proto && x.First <= y.Last && y.First <= x.Last
		})
	})
}

func subjectsMeet(a, b program.Subject) bool {
	var both []*program.Selector
	for _, s := range []program.Subject{a, b} {
		if s.Selector != nil {
			both = append(both, s.Selector)
		}
	}
	return met(both...)
}

// met reports whether some labels meet every one of ss.
func met(ss ...*program.Selector) bool {
	all := &program.Selector{Op: program.OpAnd, Args: ss}
	return satisfiable(all, nodes(all))
}

// peersMeet reports whether a and b may have a peer in common.
func (c *checker) peersMeet(a, b program.Peers) bool {
	wa, wb := workloadsOf(a), workloadsOf(b)
	ha, hb := has(a, program.PeerHost, program.PeerAny), has(b, program.PeerHost, program.PeerAny)
	da, db := domainsOf(a), domainsOf(b)
	switch {
	case wa != nil && wb != nil && met(wa, wb), ha && hb:
		return true
	case has(a, program.PeerPrefix) && (wb != nil || hb), has(b, program.PeerPrefix) && (wa != nil || ha):
		return true
	}
	aa, ab := c.addresses(a), c.addresses(b)
	for _, p := range aa {
		if len(ab.overlapping(p)) > 0 {
			return true
		}
	}
	if len(da) > 0 && len(ab) > 0 || len(db) > 0 && len(aa) > 0 {
		return true
	}
	return slices.ContainsFunc(da, func(x program.NamePattern) bool {
		return slices.ContainsFunc(db, func(y program.NamePattern) bool { return namesMeet(x, y) })
	})
}

func has(p program.Peers, kinds ...program.PeerKind) bool {
	return slices.ContainsFunc(p.Include, func(q program.Peer) bool { return slices.Contains(kinds, q.Kind) })
}

// workloadsOf returns the workloads among peers, nil when there are none.
func workloadsOf(p program.Peers) *program.Selector {
	only := func(ps []program.Peer) []program.Peer {
		var out []program.Peer
		for _, q := range ps {
			switch q.Kind {
			case program.PeerAny, program.PeerWorkloads:
				out = append(out, program.Peer{Kind: program.PeerWorkloads})
			case program.PeerSelector:
				out = append(out, q)
			}
		}
		return out
	}
	in, out := only(p.Include), only(p.Except)
	switch {
	case len(in) == 0:
		return nil
	case len(out) == 0:
		return selectorOf(in)
	}
	return &program.Selector{Op: program.OpAnd, Args: []*program.Selector{selectorOf(in), not(selectorOf(out))}}
}

func domainsOf(p program.Peers) []program.NamePattern {
	var out []program.NamePattern
	for _, q := range p.Include {
		if q.Kind == program.PeerDomain {
			out = append(out, q.Domain.Patterns...)
		}
	}
	return out
}

// namesMeet reports whether two patterns may have a name in common: they differ for sure only in a
// literal label behind the last wildcard, or in length.
func namesMeet(a, b program.NamePattern) bool {
	la, lb := a.Labels(), b.Labels()
	openA, openB := la[0] == "**", lb[0] == "**"
	if !openA && len(la) < len(lb) || !openB && len(lb) < len(la) {
		return false // ** is one label or more, so a pattern is never longer than its names
	}
	for i := 1; i <= min(len(la), len(lb)); i++ {
		x, y := la[len(la)-i], lb[len(lb)-i]
		if x != y && !strings.Contains(x, "*") && !strings.Contains(y, "*") {
			return false
		}
		if x == "**" || y == "**" {
			return true
		}
	}
	return true
}
