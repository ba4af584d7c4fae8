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

// newCompilation resolves the module's rules and numbers them in file order.
func newCompilation(m *check.Module, inv program.Inventory) *compilation {
	c := &compilation{module: m}
	c.rules = program.Rules{Default: program.Deny, Tiers: m.Tiers, Policies: []program.Policy{}, Inventory: inv}
	var ids []numbered
	var span diag.Span
	if m.Default != nil {
		c.rules.Default, span = m.Default.Action, m.Default.Span
	}
	ids = append(ids, numbered{&c.rules.DefaultRule, program.Source{Key: "default", Name: "default"}, place{span: span}})
	for _, p := range m.Policies {
		q := program.Policy{Name: p.Name, Tier: p.Tier, Subject: p.Subject}
		q.Ingress = resolveBlock(m, p, program.Ingress, p.Ingress, inv, &ids)
		q.Egress = resolveBlock(m, p, program.Egress, p.Egress, inv, &ids)
		c.rules.Policies = append(c.rules.Policies, q)
	}
	c.number(ids)
	return c
}

// numbered is a rule or default that wants a RuleID.
type numbered struct {
	id     *program.RuleID
	source program.Source
	place  place
}

func (c *compilation) number(ids []numbered) {
	file := make(map[string]int)
	for i, f := range c.module.Files {
		file[f] = i
	}
	slices.SortStableFunc(ids, func(a, b numbered) int {
		x, y := a.place.span, b.place.span
		return cmp.Or(cmp.Compare(file[x.File], file[y.File]), cmp.Compare(x.Start.Offset, y.Start.Offset))
	})
	c.rules.Sources, c.places = make([]program.Source, 1), make([]place, 1)
	for _, n := range ids {
		*n.id = program.RuleID(len(c.places))
		s := n.place.span
		n.source.File, n.source.Line, n.source.Column = s.File, s.Start.Line, s.Start.Column
		c.rules.Sources = append(c.rules.Sources, n.source)
		c.places = append(c.places, n.place)
	}
}

func resolveBlock(
	m *check.Module, p *check.Policy, d program.Direction, b *check.Block, inv program.Inventory, ids *[]numbered,
) *program.Block {
	if b == nil {
		return nil
	}
	block := &program.Block{Rules: make([]program.Rule, len(b.Rules))}
	*ids = append(*ids, numbered{&block.Default, defaultSource(m.Tiers[p.Tier], p.Name, d), place{span: b.Span}})
	for i, r := range b.Rules {
		name := fmt.Sprintf("%s.%s#%d", p.Name, d, i+1)
		if r.Label != "" {
			name = p.Name + "." + r.Label
		}
		block.Rules[i] = program.Rule{
			Action: r.Action, Peers: r.Peers, L4: r.L4, L7: r.L7, Log: r.Log, Reject: r.Reject,
		}
		if r.Action == program.Allow && hasDomain(r.Peers) {
			block.Rules[i].Resolvers = inv.Resolvers
		}
		*ids = append(*ids, numbered{
			&block.Rules[i].ID,
			program.Source{Key: name, Name: name, Tier: m.Tiers[p.Tier].Name},
			place{span: r.PlaceSpan, rule: r},
		})
	}
	return block
}

// defaultSource names what a block reports when no rule of its tier matches. In a tier that passes
// on, that is the end of a governed direction.
func defaultSource(t program.Tier, policy string, d program.Direction) program.Source {
	if t.Default == program.Pass {
		return program.Source{Key: fmt.Sprintf("%s.%s:ungranted", policy, d), Name: "ungranted"}
	}
	name := t.Name + ".default"
	return program.Source{Key: fmt.Sprintf("%s.%s:%s", policy, d, name), Name: name, Tier: t.Name}
}

func hasDomain(ps program.Peers) bool {
	return slices.ContainsFunc(ps.Include, func(p program.Peer) bool { return p.Kind == program.PeerDomain })
}
