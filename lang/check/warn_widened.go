// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// allWidened warns, of allows in file order, of each with an L7 part that one without widens: the first that
// overlaps it, of the same or an earlier tier. What was found in the last run holds while it is there, unless
// one that came since comes first.
func (c *checker) allWidened(allows []*placed) {
	var parts []*placed
	var unknown, came, plain ruleIndex
	known := false // of some part
	for _, n := range allows {
		if n.rule.L7 == nil {
			continue
		}
		parts = append(parts, n)
		if c.knowsWidening(n) {
			known = true
		} else {
			unknown.add(n)
		}
	}
	for _, n := range allows {
		if n.rule.L7 != nil {
			continue
		}
		if unknown.mayMeet(n) {
			plain.add(n)
		}
		if known && n.first == c.memory.run {
			came.add(n)
		}
	}
	for _, n := range parts {
		if !c.knowsWidening(n) {
			n.widening = plain.findSurely(c, n)
		} else if o := came.findSurely(c, n); o != nil && (n.widening == nil || o.place < n.widening.place) {
			n.widening = o
		}
		n.sought = true
		if n.widening != nil {
			c.widened(n, n.widening)
		}
	}
}

// knowsWidening reports whether what was found to widen n in the last run is still there.
func (c *checker) knowsWidening(n *placed) bool {
	return n.sought && (n.widening == nil || n.widening.last == c.memory.run)
}

// widened warns of o, which widens n.
func (c *checker) widened(n, o *placed) {
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
	for _, p := range a.facts.addresses {
		if both := b.facts.addresses.overlapping(p); len(both) > 0 {
			return text + towards + laterAddr(p, both[0]).String()
		}
	}
	return text + towards + a.rule.PeersText
}
