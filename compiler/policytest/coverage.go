// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"maps"
	"slices"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Coverage says what of the policies the tests hold, in file order.
type Coverage struct {
	Rules []Covered
	// Requests are the single lines of L7 parts, Atoms the comparisons in selectors.
	Requests []Covered
	Atoms    []Covered
}

// Covered is a part of the policies that may be covered.
type Covered struct {
	// Name is that of the rule, with what of it is meant.
	Name      string
	Direction program.Direction // of a rule or a line of one
	Span      diag.Span         // of the rule; for an atom of the first place that uses it
	Covered   bool
	// Witness is a test that would cover the rule, nil for what is covered and where none was found.
	Witness *Witness
}

// Cover measures how far the tests of a module hold its policies; results are those of its tests.
//
// A rule is covered when a line that passes rests on it: it is among the rules that decided a half
// whose verdict is the line's; a rule that passes on, when some line would no longer pass without it.
// A line of an L7 part is covered when that still holds with the other lines of the rule gone. A
// comparison in a selector is covered when taking it as true or as false changes what becomes of a
// line. Audit rules decide nothing and are not counted.
func Cover(m *check.Module, results []Result) *Coverage {
	c := coverer{module: m, base: results, lines: assertions(m), rules: compiler.Resolve(m, program.Inventory{})}
	c.decided = c.deciding(results)
	for i, p := range m.Policies {
		for _, d := range []program.Direction{program.Ingress, program.Egress} {
			b, resolved := blockOf(p, d), c.rules.Policies[i].Block(d)
			if b == nil || p.Audit {
				continue
			}
			for j, r := range b.Rules {
				if !r.Audit {
					c.rule(i, d, j, &resolved.Rules[j])
				}
			}
		}
	}
	c.atoms()
	order := map[string]int{}
	for i, f := range m.Files {
		order[f] = i
	}
	for _, list := range [][]Covered{c.out.Rules, c.out.Requests, c.out.Atoms} {
		slices.SortStableFunc(list, func(a, b Covered) int {
			if order[a.Span.File] != order[b.Span.File] {
				return order[a.Span.File] - order[b.Span.File]
			}
			return a.Span.Start.Offset - b.Span.Start.Offset
		})
	}
	return &c.out
}

func blockOf(p *check.Policy, d program.Direction) *check.Block {
	if d == program.Ingress {
		return p.Ingress
	}
	return p.Egress
}

// assertions returns the lines of a module's tests in the order of their results.
func assertions(m *check.Module) []*check.Assertion {
	var out []*check.Assertion
	for _, t := range m.Tests {
		for i := range t.Lines {
			out = append(out, &t.Lines[i])
		}
	}
	return out
}

type coverer struct {
	module  *check.Module
	base    []Result
	lines   []*check.Assertion // of base
	rules   program.Rules
	decided map[program.RuleID]bool
	out     Coverage
}

// deciding returns the rules on which lines that pass rest.
func (c *coverer) deciding(results []Result) map[program.RuleID]bool {
	out := map[program.RuleID]bool{}
	for i, r := range results {
		if !r.held() || i >= len(c.lines) {
			continue
		}
		l := c.lines[i]
		for _, d := range []program.Direction{program.Egress, program.Ingress} {
			h := half(r.Got, d)
			if h.Exists && h.Allow == (l.Want == program.Allow) && (l.At == nil || *l.At == d) {
				for _, id := range h.Matching {
					out[id] = true
				}
			}
		}
	}
	return out
}

// held reports whether the line said what is so.
func (r *Result) held() bool { return r.Status == Pass }

// rule adds a rule and the lines of its L7 part.
func (c *coverer) rule(policy int, d program.Direction, index int, r *program.Rule) {
	source := blockOf(c.module.Policies[policy], d).Rules[index]
	name := c.rules.Source(r.ID).Name
	it := Covered{Name: name, Direction: d, Span: source.Span, Covered: c.decided[r.ID]}
	if r.Action == program.Pass {
		it.Covered = c.changes(withRule(c.module, policy, d, index, nil))
	}
	if !it.Covered {
		it.Witness = c.witness(policy, d, r)
	}
	c.out.Rules = append(c.out.Rules, it)
	for _, one := range single(r.L7) {
		text := one.String()
		line := Covered{Name: name + ": " + text, Direction: d, Span: source.L7Span}
		line.Covered = it.Covered
		if it.Covered && one != r.L7 {
			only := *source
			only.L7 = one
			line.Covered = c.deciding(c.run(withRule(c.module, policy, d, index, &only)))[r.ID]
		}
		c.out.Requests = append(c.out.Requests, line)
	}
}

func (c *coverer) run(m *check.Module) []Result { return Run(m, Options{}) }

// changes reports whether something else becomes of a line under another module.
func (c *coverer) changes(m *check.Module) bool {
	results := c.run(m)
	return slices.ContainsFunc(c.base, func(r Result) bool {
		i := slices.IndexFunc(results, func(o Result) bool { return o.Span == r.Span })
		return i < 0 || results[i].Status != r.Status || results[i].Got.Action != r.Got.Action
	})
}

// single returns the lines of an L7 part, each alone; a part of one line is itself.
func single(l *program.L7) []*program.L7 {
	switch {
	case l == nil:
		return nil
	case len(l.HTTP)+len(l.GRPC)+len(l.SNI)+len(l.DNS) < 2:
		return []*program.L7{l}
	}
	var out []*program.L7
	add := func(change func(*program.L7)) {
		one := *l
		one.HTTP, one.GRPC, one.SNI, one.DNS = nil, nil, nil, nil
		change(&one)
		out = append(out, &one)
	}
	for i := range l.HTTP {
		add(func(o *program.L7) { o.HTTP = l.HTTP[i : i+1] })
	}
	for i := range l.GRPC {
		add(func(o *program.L7) { o.GRPC = l.GRPC[i : i+1] })
	}
	for i := range l.SNI {
		add(func(o *program.L7) { o.SNI = l.SNI[i : i+1] })
	}
	for i := range l.DNS {
		add(func(o *program.L7) { o.DNS = l.DNS[i : i+1] })
	}
	return out
}

// withRule returns the module with another rule in the place of one, or without it.
func withRule(m *check.Module, policy int, d program.Direction, index int, r *check.Rule) *check.Module {
	out, p := *m, *m.Policies[policy]
	b := *blockOf(&p, d)
	b.Rules = slices.Clone(b.Rules)
	if r == nil {
		b.Rules = slices.Delete(b.Rules, index, index+1)
	} else {
		b.Rules[index] = r
	}
	if d == program.Ingress {
		p.Ingress = &b
	} else {
		p.Egress = &b
	}
	out.Policies = slices.Clone(m.Policies)
	out.Policies[policy] = &p
	return &out
}

// Share returns how many of a list are covered, and how many there are.
func Share(list []Covered) (covered, all int) {
	for _, c := range list {
		if c.Covered {
			covered++
		}
	}
	return covered, len(list)
}

// Half returns the rules of one direction.
func (c *Coverage) Half(d program.Direction) []Covered {
	return slices.Collect(func(yield func(Covered) bool) {
		for _, r := range c.Rules {
			if r.Direction == d && !yield(r) {
				return
			}
		}
	})
}

// Percent returns the share of rules that are covered, 100 where there are none.
func (c *Coverage) Percent() float64 {
	covered, all := Share(c.Rules)
	if all == 0 {
		return 100
	}
	return 100 * float64(covered) / float64(all)
}

// Summary says in one line how much is covered.
func (c *Coverage) Summary() string {
	text := func(list []Covered) string {
		covered, all := Share(list)
		return fmt.Sprintf("%d of %d", covered, all)
	}
	return fmt.Sprintf("coverage: %.1f %% of rules (%s; ingress %s, egress %s), lines of L7 parts %s, comparisons %s",
		c.Percent(), text(c.Rules), text(c.Half(program.Ingress)), text(c.Half(program.Egress)), text(c.Requests), text(c.Atoms))
}

// atoms adds each comparison of each selector. Uses of one selector count as one: a workload's name
// stands for the same comparison everywhere.
func (c *coverer) atoms() {
	type use struct {
		selector *program.Selector
		span     diag.Span
		where    string
	}
	uses := map[string]use{}
	add := func(s *program.Selector, span diag.Span, where string) {
		if _, known := uses[s.String()]; s != nil && !known {
			uses[s.String()] = use{s, span, where}
		}
	}
	for _, p := range c.module.Policies {
		if p.Audit {
			continue
		}
		if s := p.Subject.Selector; s != nil {
			add(s, p.NameSpan, p.SubjectText)
		}
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				for _, t := range slices.Concat(r.Peers.Include, r.Peers.Except) {
					if t.Selector != nil {
						add(t.Selector, r.PeersSpan, r.PeersText)
					}
				}
			}
		}
	}
	for _, text := range slices.Sorted(maps.Keys(uses)) {
		u := uses[text]
		for i, atom := range leaves(u.selector) {
			covered := slices.ContainsFunc([]bool{true, false}, func(as bool) bool {
				return c.changes(replaceSelector(c.module, text, replaceLeaf(u.selector, i, constant(as))))
			})
			c.out.Atoms = append(c.out.Atoms, Covered{Name: fmt.Sprintf("%s in %s", atom, u.where), Span: u.span, Covered: covered})
		}
	}
}
