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
	var kinds [program.L7DNS + 1]int
	for _, n := range c.placed {
		if n.rule.L7 != nil {
			kinds[n.rule.L7.Kind] = 1
		}
	}
	if kinds[program.L7HTTP]+kinds[program.L7TLS]+kinds[program.L7DNS] < 2 {
		return
	}
	seen := map[program.L7Kind]*portIndex{}
	for _, n := range c.placed {
		if n.rule.L7 == nil {
			continue
		}
		kind := n.rule.L7.Kind
		for _, other := range []program.L7Kind{program.L7HTTP, program.L7TLS, program.L7DNS} {
			if other == kind || seen[other] == nil {
				continue
			}
			if o := seen[other].find(n, func(o *placed) bool { return c.meet(n, o) }); o != nil {
				c.errorAt(diag.L7Mixed, n.rule.Span, fmt.Sprintf("a flow that this rule and another apply to would have to speak %s and %s", kind, other),
					"part them by peers or ports", diag.Related{Span: o.rule.Span, Summary: "the other rule"})
			}
		}
		if seen[kind] == nil {
			seen[kind] = newPortIndex()
		}
		seen[kind].add(n)
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
