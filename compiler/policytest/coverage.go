// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"

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
	c := newCoverer(m, results)
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

type coverer struct {
	module  *check.Module
	base    []Result
	lines   []*check.Assertion // of base
	suite   *Suite
	rules   *program.Rules // of the suite
	decided map[program.RuleID]bool
	kinds   map[program.L7Kind]bool // of the L7 parts of all rules
	scenes  scenes
	keys    []string // of labels
	// client and server are names for ends of witnesses, which no test gives.
	client, server string
	out            Coverage
}

func newCoverer(m *check.Module, results []Result) *coverer {
	c := &coverer{module: m, base: results, suite: New(m)}
	for _, t := range m.Tests {
		for i := range t.Lines {
			c.lines = append(c.lines, &t.Lines[i])
		}
	}
	c.rules = c.suite.judge.Rules()
	c.scenes = newScenes(c.suite, m.Tests)
	c.keys = keysOf(m)
	c.client, c.server = ungiven(m.Tests, "client"), ungiven(m.Tests, "server")
	c.kinds = map[program.L7Kind]bool{}
	for _, r := range rulesOf(c.rules) {
		if r.L7 != nil {
			c.kinds[r.L7.Kind] = true
		}
	}
	c.decided = c.deciding(0, results)
	return c
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
	p := c.rules.Policies[policy]
	if r.Action == program.Pass {
		it.Covered = c.changes(patch{p: without(p, d, index)}, c.scenes.of[p])
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
			only := *r
			only.L7 = one
			line.Covered = c.stillDecides(p, d, index, only)
		}
		c.out.Requests = append(c.out.Requests, line)
	}
}

// changes reports whether something else becomes of a line of some scenes with a patch.
func (c *coverer) changes(by patch, scenes []int) bool {
	return slices.ContainsFunc(scenes, func(i int) bool {
		s := &c.scenes.all[i]
		for j, r := range c.scenes.run(s, by) {
			if o := &c.base[s.first+j]; r.Status != o.Status || r.Got.Action != o.Got.Action {
				return true
			}
		}
		return false
	})
}

// stillDecides reports whether a line that rests on a rule still does when that has become another.
func (c *coverer) stillDecides(p *program.Policy, d program.Direction, index int, r program.Rule) bool {
	by := patch{p: replaced(p, d, index, r)}
	return slices.ContainsFunc(c.scenes.of[p], func(i int) bool {
		s := &c.scenes.all[i]
		return c.deciding(s.first, c.base[s.first:s.first+len(s.test.Lines)])[r.ID] && c.deciding(s.first, c.scenes.run(s, by))[r.ID]
	})
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
