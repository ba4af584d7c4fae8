// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// lint warns of rules that the DNS proxy, which owns port 53 of its subjects, leaves nothing of there.
func (c *compilation) lint() {
	seen := make(map[*check.Rule]bool)
	for _, s := range c.scopes {
		if !s.proxied {
			continue
		}
		for _, r := range s.owned {
			if seen[r.place().rule] {
				continue
			}
			seen[r.place().rule] = true
			c.diags.Add(diag.Diagnostic{
				Code: CodeDNSPort, Severity: diag.Warning, Span: r.place().rule.L4Span,
				Summary: fmt.Sprintf("tcp/53 of this subject goes to the DNS proxy and cannot be judged as %s: there it is denied", r.L7.Kind),
				Help:    "leave port 53 out: tcp/1-52, tcp/54-65535",
			})
		}
	}
}

// find returns the RuleID of a key.
func (c *compilation) find(key string) program.RuleID {
	if c.ids == nil {
		c.ids = make(map[string]program.RuleID, len(c.rules.Sources))
		for i, s := range c.rules.Sources {
			c.ids[s.Key] = program.RuleID(i)
		}
	}
	return c.ids[key]
}

// span returns where a RuleID stands.
func (c *compilation) span(id program.RuleID) diag.Span { return c.place(id).span }

// place says where a RuleID stands.
func (c *compilation) place(id program.RuleID) place {
	behind, _ := slices.BinarySearchFunc(c.all, id, func(p *policy, id program.RuleID) int { return cmp.Compare(p.base, id) })
	if behind > 0 {
		if p := c.all[behind-1]; int(id-p.base) <= len(p.places) {
			return p.place(id - p.base)
		}
	}
	if c.module.Default == nil {
		return place{}
	}
	return place{span: c.module.Default.Span}
}

// halvesMixed reports two halves of one flow that ask for different kinds, so that it is denied. It
// hangs on who is in the inventory, and so is no error: a new workload must not stop a policy.
func (c *compilation) halvesMixed(egress, ingress program.Verdict) {
	first, second := egress, ingress
	other, at := c.find(first.Rule), c.find(second.Rule)
	if at < other {
		first, second, other, at = second, first, at, other
	}
	c.diags.Add(diag.Diagnostic{
		Code: diag.L7Mixed, Severity: diag.Warning, Span: c.span(at),
		Summary: fmt.Sprintf("this side of a flow asks for %s where the other side asks for %s: the flow is denied", second.L7, first.L7),
		Help:    "ask for one kind on both sides, or part them by ports",
		Related: []diag.Related{{Span: c.span(other), Summary: "the other side"}},
	})
}
