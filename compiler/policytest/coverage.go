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
	c.decided = c.deciding(0, results)
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

// deciding returns the rules on which lines that pass rest; first is the index of the first line.
func (c *coverer) deciding(first int, results []Result) map[program.RuleID]bool {
	out := map[program.RuleID]bool{}
	for i, r := range results {
		if !r.held() || first+i >= len(c.lines) {
			continue
		}
		l := c.lines[first+i]
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
		it.Covered = c.changes(withRule(c.module, policy, d, index, nil), nil)
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
			line.Covered = c.stillDecides(withRule(c.module, policy, d, index, &only), r.ID)
		}
		c.out.Requests = append(c.out.Requests, line)
	}
}

// again runs the tests for which a condition holds by another module, and yields the results of each
// with the index of its first line in those of the module itself.
func (c *coverer) again(m *check.Module, wanted func(first, lines int) bool, yield func(first int, results []Result) bool) bool {
	suite, first := New(m), 0
	for _, t := range c.module.Tests {
		if wanted(first, len(t.Lines)) && !yield(first, suite.Run(t)) {
			return false
		}
		first += len(t.Lines)
	}
	return true
}

// changes reports whether something else becomes of a line under another module. Tests that rest on
// one of the rules near are run first.
func (c *coverer) changes(m *check.Module, near map[program.RuleID]bool) bool {
	same := func(first int, results []Result) bool {
		for i, r := range results {
			if o := c.base[first+i]; r.Status != o.Status || r.Got.Action != o.Got.Action {
				return false
			}
		}
		return true
	}
	rests := func(first, lines int) bool {
		return slices.ContainsFunc(c.base[first:first+lines], func(r Result) bool {
			return slices.ContainsFunc(slices.Concat(r.Got.Egress.Matching, r.Got.Ingress.Matching), func(id program.RuleID) bool { return near[id] })
		})
	}
	far := func(first, lines int) bool { return !rests(first, lines) }
	return !c.again(m, rests, same) || !c.again(m, far, same)
}

// stillDecides reports whether a line that rests on a rule still does under another module.
func (c *coverer) stillDecides(m *check.Module, id program.RuleID) bool {
	wanted := func(first, lines int) bool { return c.deciding(first, c.base[first:first+lines])[id] }
	return !c.again(m, wanted, func(first int, results []Result) bool { return !c.deciding(first, results)[id] })
}

// single returns the lines of an L7 part, each alone; a part of one line is itself.
func single(l *program.L7) []*program.L7 {
	switch {
	case l == nil:
		return nil
	case len(l.HTTP)+len(l.GRPC)+len(l.SNI)+len(l.SNISets)+len(l.DNS) < 2:
		return []*program.L7{l}
	}
	var out []*program.L7
	add := func(change func(*program.L7)) {
		one := *l
		one.HTTP, one.GRPC, one.SNI, one.SNISets, one.DNS = nil, nil, nil, nil, nil
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
	for i := range l.SNISets {
		add(func(o *program.L7) { o.SNISets = l.SNISets[i : i+1] })
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
		near     map[program.RuleID]bool // rules that use it
	}
	uses, texts := map[string]use{}, map[*program.Selector]string{}
	add := func(s *program.Selector, span diag.Span, where string, ids ...program.RuleID) {
		texts[s] = s.String()
		u, known := uses[texts[s]]
		if !known {
			u = use{s, span, where, map[program.RuleID]bool{}}
			uses[texts[s]] = u
		}
		for _, id := range ids {
			u.near[id] = true
		}
	}
	for i, p := range c.module.Policies {
		if p.Audit {
			continue
		}
		if s := p.Subject.Selector; s != nil {
			add(s, p.NameSpan, p.SubjectText, ids(c.rules.Policies[i].Ingress)...)
			add(s, p.NameSpan, p.SubjectText, ids(c.rules.Policies[i].Egress)...)
		}
		for d, b := range []*check.Block{program.Egress: p.Egress, program.Ingress: p.Ingress} {
			if b == nil {
				continue
			}
			resolved := c.rules.Policies[i].Block(program.Direction(d))
			for j, r := range b.Rules {
				for _, t := range slices.Concat(r.Peers.Include, r.Peers.Except) {
					if t.Selector != nil {
						add(t.Selector, r.PeersSpan, r.PeersText, resolved.Rules[j].ID)
					}
				}
			}
		}
	}
	for _, text := range slices.Sorted(maps.Keys(uses)) {
		u := uses[text]
		old := func(s *program.Selector) bool { return s != nil && texts[s] == text }
		for i, atom := range leaves(u.selector) {
			covered := slices.ContainsFunc([]bool{true, false}, func(as bool) bool {
				return c.changes(replaceSelector(c.module, old, replaceLeaf(u.selector, i, constant(as))), u.near)
			})
			c.out.Atoms = append(c.out.Atoms, Covered{Name: fmt.Sprintf("%s in %s", atom, u.where), Span: u.span, Covered: covered})
		}
	}
}

// ids returns those of a block's rules and of its default.
func ids(b *program.Block) []program.RuleID {
	if b == nil {
		return nil
	}
	out := []program.RuleID{b.Default, b.Ungranted}
	for _, r := range b.Rules {
		out = append(out, r.ID)
	}
	return out
}
