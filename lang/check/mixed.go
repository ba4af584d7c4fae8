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

// namesMeet reports whether two patterns have a name in common.
func namesMeet(a, b program.NamePattern) bool {
	la, lb := a.Labels(), b.Labels()
	openA, openB := la[0] == "**", lb[0] == "**"
	if !openA && len(la) < len(lb) || !openB && len(lb) < len(la) {
		return false // ** is one label or more, so a pattern is never longer than its names
	}
	for i := 1; i <= min(len(la), len(lb)); i++ {
		x, y := la[len(la)-i], lb[len(lb)-i]
		if x == "**" || y == "**" {
			return true
		}
		if !labelsMeet(x, y) {
			return false
		}
	}
	return true
}

// labelsMeet reports whether one label matches both patterns of a label. A row says for each rest of
// b whether it meets the present rest of a.
func labelsMeet(a, b string) bool {
	if !wild(a) && !wild(b) {
		return a == b
	}
	var below []bool
	for i := len(a); i >= 0; i-- {
		row := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*':
				row[j] = below[j] || j < len(b) && row[j+1]
			case j < len(b) && b[j] == '*':
				row[j] = row[j+1] || i < len(a) && below[j]
			case i < len(a) && j < len(b):
				row[j] = a[i] == b[j] && below[j+1]
			}
		}
		below = row
	}
	return below[0]
}
