// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// unmet warns of workloads, subjects and peers that nobody in the inventory is, a named one where it
// is declared.
func (c *checker) unmet(m *Module) {
	if c.opt.Inventory == nil {
		return
	}
	for _, s := range c.symbols {
		if _, ok := s.decl.(*lang.Workload); ok && s.selector != nil && !c.someone(s.selector) {
			c.warnUnmet(s.span, fmt.Sprintf("workload `%s`", s.name))
		}
	}
	for _, p := range m.Policies {
		if s := p.Subject.Selector; s != nil && strings.HasPrefix(p.SubjectText, "(") && !c.someone(s) {
			c.warnUnmet(p.NameSpan, "the subject "+p.SubjectText)
		}
	}
	for _, n := range c.placed {
		for _, t := range n.rule.Terms {
			if t.selector != nil && !c.someone(t.selector) {
				c.warnUnmet(t.Span, "the peer "+t.Text)
			}
		}
	}
}

func (c *checker) warnUnmet(span diag.Span, what string) {
	c.warnAt(diag.Unmet, span, fmt.Sprintf("nobody in the inventory is %s", what), "compare the labels with those of the inventory")
}

// someone reports whether some workload of the inventory meets s.
func (c *checker) someone(s *program.Selector) bool {
	return slices.ContainsFunc(c.opt.Inventory, func(w program.Workload) bool { return isMet(s, w.Labels) })
}

// isMet reports whether labels meet s.
func isMet(s *program.Selector, labels []program.Label) bool {
	holds := func(a *program.Selector) bool { return isMet(a, labels) }
	switch s.Op {
	case program.OpNot:
		return !holds(s.Args[0])
	case program.OpAnd:
		return !slices.ContainsFunc(s.Args, func(a *program.Selector) bool { return !holds(a) })
	case program.OpOr:
		return slices.ContainsFunc(s.Args, holds)
	}
	return slices.ContainsFunc(labels, func(l program.Label) bool {
		return l.Key == s.Key && (s.Op == program.OpHas || slices.Contains(s.Values, l.Value))
	})
}
