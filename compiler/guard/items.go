// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// remembered is what guardrails said of a policy and its rules, with what else they saw of it.
type remembered struct {
	tier program.Tier
	list diag.List
}

// runItems evaluates guardrails over each policy that m does not remember, one guardrail after the
// other so that none takes the time of another.
func (m *Memory) runItems(ctx context.Context, gs []*compiled, module *check.Module, deadline time.Duration) (diag.List, error) {
	now := make(map[*check.Policy]remembered, len(module.Policies))
	said := make([]diag.List, len(module.Policies))
	var missing []int
	for i, p := range module.Policies {
		if old, ok := m.said[p]; ok && old.tier == tierOf(module, p) {
			said[i], now[p] = old.list, old
			continue
		}
		missing = append(missing, i)
	}
	var failed diag.List
	for _, g := range gs {
		answers, err := g.askEach(ctx, module, missing, deadline)
		if err != nil {
			return nil, err
		}
		if n := slices.IndexFunc(answers, func(a answer) bool { return a.failed != nil }); n >= 0 {
			failed = append(failed, answers[n].failed...)
			continue
		}
		for n, a := range answers {
			said[missing[n]] = append(said[missing[n]], a.said...)
		}
	}
	if m.said = nil; failed == nil {
		for _, i := range missing {
			p := module.Policies[i]
			now[p] = remembered{tierOf(module, p), said[i]}
		}
		m.said = now
	}
	return append(slices.Concat(said...), failed...), nil
}

func tierOf(m *check.Module, p *check.Policy) program.Tier {
	if p.Tier < len(m.Tiers) {
		return m.Tiers[p.Tier]
	}
	return program.Tier{}
}

// askEach asks a guardrail about policies of m on all processors. Behind a policy at which it failed
// it need not be asked any more.
func (g *compiled) askEach(ctx context.Context, m *check.Module, policies []int, deadline time.Duration) ([]answer, error) {
	within, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	answers, errs := make([]answer, len(policies)), make([]error, len(policies))
	var end atomic.Int64
	end.Store(int64(len(policies)))
	beside(len(policies), func(next func() (int, bool)) {
		e := newEncoder(g.form)
		for n, ok := next(); ok && int64(n) < end.Load(); n, ok = next() {
			answers[n], errs[n] = g.askPolicy(within, e, m, m.Policies[policies[n]])
			if answers[n].failed != nil || errs[n] != nil {
				end.Store(min(end.Load(), int64(n)))
			}
		}
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run guardrail %s: %w", g.Name, ctx.Err())
	}
	for n, a := range answers {
		switch {
		case errs[n] != nil:
			return nil, errs[n]
		case a.failed != nil && within.Err() != nil:
			answers[n].failed = tooSlow(g.Guardrail, deadline)
		}
	}
	return answers, nil
}

// askPolicy asks a guardrail about a policy and, if it reads rules, about each of them. The error is
// for what cannot be shown to it.
func (g *compiled) askPolicy(ctx context.Context, e *encoder, m *check.Module, p *check.Policy) (answer, error) {
	it := item{Version: inputVersion, Policy: p, Tier: tierOf(m, p)}
	all, err := g.askItem(ctx, e, &it)
	for _, d := range []program.Direction{program.Ingress, program.Egress} {
		b := p.Ingress
		if d == program.Egress {
			b = p.Egress
		}
		if b == nil || !g.reads.rules() {
			continue
		}
		it.Direction = &d
		for _, it.Rule = range b.Rules {
			if err != nil || all.failed != nil {
				break
			}
			var a answer
			a, err = g.askItem(ctx, e, &it)
			all = answer{append(all.said, a.said...), a.failed}
		}
	}
	all.said = once(all.said)
	return all, err
}

func (g *compiled) askItem(ctx context.Context, e *encoder, it *item) (answer, error) {
	input := reflect.ValueOf(it).Elem()
	if !g.minds(input) {
		return answer{}, nil
	}
	q, err := e.question(input, g.reads)
	if err != nil {
		return answer{}, err
	}
	return g.ask(ctx, q), nil
}

// once removes what was said before: of a policy with each of its rules.
func once(list diag.List) diag.List {
	type fact struct {
		severity diag.Severity
		span     diag.Span
		what     [2]string
	}
	if len(list) < 2 {
		return list
	}
	seen := make(map[fact]bool, len(list))
	return slices.DeleteFunc(list, func(d diag.Diagnostic) bool {
		f := fact{d.Severity, d.Span, [2]string{d.Summary, d.Help}}
		before := seen[f]
		seen[f] = true
		return before
	})
}
