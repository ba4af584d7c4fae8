// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// numbers are the RuleIDs of the last run.
type numbers struct {
	policies []*policy
	rules    program.Rules // without the inventory
}

// number gives the rules of a module their RuleIDs, in file order. What has kept them is shared with
// the program of the last run.
func (n *numbers) number(module *check.Module, policies []*policy) program.Rules {
	rules := program.Rules{Default: program.Deny, Tiers: module.Tiers}
	var span diag.Span
	if module.Default != nil {
		rules.Default, span = module.Default.Action, module.Default.Span
	}
	at := behind(module.Files, policies, span)
	moved, size := false, program.RuleID(1) // of the sources so far
	for i, p := range policies {
		if i == at {
			rules.DefaultRule, size = size, size+1
		}
		if p.numbered != nil && p.base != size-1 {
			p.numbered, moved = nil, true
		}
		p.base = size - 1
		size += program.RuleID(len(p.sources))
	}
	if at == len(policies) {
		rules.DefaultRule, size = size, size+1
	}
	own := &program.Source{Key: keyDefault, Name: keyDefault, File: span.File, Line: span.Start.Line, Column: span.Start.Column}
	if !moved && slices.Equal(policies, n.policies) && rules.DefaultRule == n.rules.DefaultRule && n.rules.Source(rules.DefaultRule) == *own {
		rules.Policies, rules.Sources = n.rules.Policies, n.rules.Sources
		return rules
	}
	for piece := range slices.Chunk(policies, pieceOfRules) {
		numberAll(piece)
	}
	rules.Policies, rules.Sources = make([]*program.Policy, len(policies)), append(make([]*program.Source, 0, size), &program.Source{})
	for i, p := range policies {
		if i == at {
			rules.Sources = append(rules.Sources, own)
		}
		rules.Policies[i], rules.Sources = p.numbered, append(rules.Sources, p.sources...)
	}
	if at == len(policies) {
		rules.Sources = append(rules.Sources, own)
	}
	n.policies, n.rules = policies, rules
	return rules
}

// behind returns how many policies stand before a place.
func behind(files []string, policies []*policy, span diag.Span) int {
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f] = i
	}
	i := slices.IndexFunc(policies, func(p *policy) bool {
		if len(p.places) == 0 {
			return false
		}
		first := p.places[0].span
		return cmp.Or(cmp.Compare(order[span.File], order[first.File]), cmp.Compare(span.Start.Offset, first.Start.Offset)) <= 0
	})
	if i < 0 {
		return len(policies)
	}
	return i
}

// pieceOfRules is how many policies are copied together. A copy lasts as long as one of them.
const pieceOfRules = 64

// numberAll copies the contents of policies with the RuleIDs of the program, if one of them has none.
func numberAll(policies []*policy) {
	if !slices.ContainsFunc(policies, func(p *policy) bool { return p.numbered == nil }) {
		return
	}
	var blocks, rules int
	for _, p := range policies {
		for _, b := range []*program.Block{p.content.Egress, p.content.Ingress} {
			if b != nil {
				blocks, rules = blocks+1, rules+len(b.Rules)
			}
		}
	}
	room := room{make([]program.Policy, 0, len(policies)), make([]program.Block, 0, blocks), make([]program.Rule, 0, rules)}
	for _, p := range policies {
		p.numbered = room.policy(p.content, p.base)
	}
}

// room is memory for copies of policies, as much as they need.
type room struct {
	policies []program.Policy
	blocks   []program.Block
	rules    []program.Rule
}

func (r *room) policy(p *program.Policy, base program.RuleID) *program.Policy {
	r.policies = append(r.policies, *p)
	q := &r.policies[len(r.policies)-1]
	q.Egress, q.Ingress = r.block(p.Egress, base), r.block(p.Ingress, base)
	return q
}

func (r *room) block(b *program.Block, base program.RuleID) *program.Block {
	if b == nil {
		return nil
	}
	first := len(r.rules)
	r.rules = append(r.rules, b.Rules...)
	r.blocks = append(r.blocks, program.Block{Default: b.Default + base, Ungranted: b.Ungranted, Rules: slices.Clip(r.rules[first:])})
	c := &r.blocks[len(r.blocks)-1]
	if c.Ungranted != 0 {
		c.Ungranted += base
	}
	for i := range c.Rules {
		c.Rules[i].ID += base
	}
	return c
}
