// SPDX-License-Identifier: Apache-2.0

package bruteforce

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// counts reports whether a block exists for verdicts.
func (e *Evaluator) counts(p *check.Policy, block *check.Block) bool {
	if block == nil || p.Audit && !e.Bare {
		return false
	}
	for _, r := range block.Rules {
		if e.Bare || !r.Audit {
			return true
		}
	}
	return len(block.Rules) == 0
}

// half is what one direction says; row: some policy has it for the subject.
type half struct {
	exists, allow bool
	by            by
	reason        verdict.Reason
	row           bool
	kind          program.L7Kind
	names         bool // CONNECT or the upgrade of the request
}

// by is who decides: a rule, the default of a tier or that of the program, or ungranted.
type by struct {
	name, tier string
	at         diag.Span
}

// request is what is judged: of no kind the flow itself.
type request struct {
	kind program.L7Kind
	path string
}

func (e *Evaluator) half(d program.Direction, subject, other who, f verdict.Flow, q request) half {
	if !subject.local {
		return half{}
	}
	m := e.Module
	h := half{exists: true, allow: m.Default.Action == program.Allow, by: by{name: "default", at: m.Default.Span}, reason: verdict.Ungoverned}
	governing := len(m.Policies) // the first policy that governs
	over, asked := false, false
	var all []*check.Rule
	for t, tier := range m.Tiers {
		var rules []*check.Rule
		var first *check.Block
		for i, p := range m.Policies {
			block := []*check.Block{p.Egress, p.Ingress}[d]
			if p.Tier != t || !e.counts(p, block) || !e.selects(p.Subject, subject) {
				continue
			}
			first = cmp.Or(first, block)
			rules = append(rules, e.rules(p, block, d)...)
			if tier.Default != program.Pass && !asked {
				governing = min(governing, i)
			}
		}
		if first == nil || asked {
			continue
		}
		h.row = true
		all = append(all, rules...)
		asked = tier.Default != program.Pass && !slices.ContainsFunc(rules, func(r *check.Rule) bool { return r.Action == program.Pass })
		matching := func(a program.Action) *check.Rule {
			for _, r := range rules {
				if r.Action == a && e.speaks(r, subject, other, f, q) {
					return r
				}
			}
			return nil
		}
		deny, allow, pass := matching(program.Deny), matching(program.Allow), matching(program.Pass)
		r := cmp.Or(deny, allow)
		switch {
		case over:
		case r != nil:
			over, h.allow, h.by, h.reason = true, r == allow, by{r.Label, tier.Name, r.PlaceSpan}, verdict.ByRule
		case pass == nil && tier.Default != program.Pass:
			over, h.allow, h.by, h.reason = true, tier.Default == program.Allow, by{tier.Name + ".default", tier.Name, first.Span}, verdict.ByDefault
		}
	}
	switch {
	case !over && governing < len(m.Policies):
		p := m.Policies[governing]
		h.allow, h.by, h.reason = false, by{name: "ungranted", at: []*check.Block{p.Egress, p.Ingress}[d].Span}, verdict.ByDefault
	case !over && h.row:
		h.reason = verdict.ByDefault
	}
	if q.kind == program.L7DNS && f.Question.Type == 255 && h.reason == verdict.ByDefault {
		h.allow = false
	}
	e.speech(&h, d, subject, other, f, all)
	return h
}

// rules are those of a block that count, with their full names.
func (e *Evaluator) rules(p *check.Policy, block *check.Block, d program.Direction) []*check.Rule {
	var out []*check.Rule
	for i, r := range block.Rules {
		if r.Audit && !e.Bare {
			continue
		}
		r := *r
		if r.Label == "" {
			r.Label = fmt.Sprintf("%s#%d", d, i+1)
		}
		r.Label = p.Name + "." + r.Label
		if len(r.Resolvers) == 0 {
			r.Resolvers = block.Resolvers
		}
		out = append(out, &r)
	}
	return out
}

// speech finds what the flow must speak: of each rule with an L7 part that is about it, and of the
// subject's questions.
func (e *Evaluator) speech(h *half, d program.Direction, subject, other who, f verdict.Flow, all []*check.Rule) {
	kinds := map[program.L7Kind]bool{}
	for _, r := range all {
		about := r.L7 != nil && onL4(r.L4, f) && (e.among(r.Peers, subject, other) || len(e.doors(r, other, subject, f)) > 0)
		if about {
			kinds[r.L7.Kind] = true
		}
		for _, x := range lines(r) {
			if f.HTTP != nil && about {
				h.names = h.names || strings.EqualFold(f.HTTP.Method, "CONNECT") && slices.Contains(x.Methods, "CONNECT") ||
					f.HTTP.Upgrade != "" && x.Upgrade == f.HTTP.Upgrade
			}
		}
		domains := hasDomain(r)
		if r.Action == program.Allow && domains && len(e.askable(r, subject, other, f)) > 0 ||
			d == program.Egress && f.Port == 53 && (f.Proto == 6 || f.Proto == 17) && (domains || r.L7 != nil && r.L7.Kind == program.L7DNS) {
			kinds[program.L7DNS] = true
		}
	}
	if d == program.Egress && f.Port == 53 && (f.Proto == 6 || f.Proto == 17) {
		for _, r := range all {
			if hasDomain(r) {
				kinds[program.L7DNS] = true
			}
		}
	}
	if len(kinds) > 1 && h.allow {
		h.allow, h.reason = false, verdict.Conflict
	}
	for k := range kinds {
		h.kind = k
	}
}
