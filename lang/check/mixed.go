// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// mixed reports rules of two L7 kinds that one flow could meet: it would have to speak both. What
// only an inventory could tell apart counts as met.
func (c *checker) mixed() {
	var indexes [program.L7DNS + 1]ruleIndex
	for _, n := range c.placed {
		if n.rule.L7 != nil {
			indexes[n.rule.L7.Kind].add(n)
		}
	}
	for _, n := range c.placed {
		if n.rule.L7 == nil {
			continue
		}
		kind := n.rule.L7.Kind
		for _, other := range []program.L7Kind{program.L7HTTP, program.L7TLS, program.L7DNS} {
			if other == kind {
				continue
			}
			if o := indexes[other].find(c, n); o != nil && o.place < n.place {
				c.errorAt(diag.L7Mixed, n.rule.Span, fmt.Sprintf("a flow that this rule and another apply to would have to speak %s and %s", kind, other),
					"part them by peers or ports", diag.Related{Span: o.rule.Span, Summary: "the other rule"})
			}
		}
	}
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
			case program.PeerSelector, program.PeerSame:
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
