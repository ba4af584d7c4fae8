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

// keyDefault is the key and the name of the program's default.
const keyDefault = "default"

// newCompilation resolves the module's rules and numbers them in file order.
func newCompilation(m *check.Module, inv program.Inventory) *compilation {
	c := &compilation{module: m}
	c.rules = program.Rules{
		Default: program.Deny, Tiers: m.Tiers, Policies: make([]program.Policy, 0, len(m.Policies)), Inventory: inv,
	}
	var ids []numbered
	var span diag.Span
	if m.Default != nil {
		c.rules.Default, span = m.Default.Action, m.Default.Span
	}
	ids = append(ids, numbered{&c.rules.DefaultRule, program.Source{Key: keyDefault, Name: keyDefault}, place{span: span}})
	passes := passing(m)
	for _, p := range m.Policies {
		q := program.Policy{Name: p.Name, Tier: p.Tier, Subject: p.Subject, Audit: p.Audit}
		q.Ingress = resolveBlock(m, p, program.Ingress, p.Ingress, passes, &ids)
		q.Egress = resolveBlock(m, p, program.Egress, p.Egress, passes, &ids)
		c.rules.Policies = append(c.rules.Policies, q)
	}
	c.number(ids)
	return c
}

// side is one direction of a tier.
type side struct {
	tier      int
	direction program.Direction
}

// passing returns the sides in which some rule passes on.
func passing(m *check.Module) map[side]bool {
	out := make(map[side]bool)
	for _, p := range m.Policies {
		for d, b := range []*check.Block{program.Egress: p.Egress, program.Ingress: p.Ingress} {
			if b != nil && slices.ContainsFunc(b.Rules, func(r *check.Rule) bool { return r.Action == program.Pass }) {
				out[side{p.Tier, program.Direction(d)}] = true
			}
		}
	}
	return out
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
	c.rules.Sources, c.places = make([]program.Source, 1, len(ids)+1), make([]place, 1, len(ids)+1)
	for _, n := range ids {
		*n.id = program.RuleID(len(c.places))
		s := n.place.span
		n.source.File, n.source.Line, n.source.Column = s.File, s.Start.Line, s.Start.Column
		c.rules.Sources = append(c.rules.Sources, n.source)
		c.places = append(c.places, n.place)
	}
}

func resolveBlock(
	m *check.Module, p *check.Policy, d program.Direction, b *check.Block, passes map[side]bool, ids *[]numbered,
) *program.Block {
	if b == nil {
		return nil
	}
	block := &program.Block{Rules: make([]program.Rule, len(b.Rules))}
	tier := m.Tiers[p.Tier]
	end := func(id *program.RuleID, name, tier string) {
		*ids = append(*ids, numbered{
			id, program.Source{Key: fmt.Sprintf("%s.%s:%s", p.Name, d, name), Name: name, Tier: tier}, place{span: b.Span},
		})
	}
	end(&block.Default, tier.Name+".default", tier.Name)
	if tier.Default != program.Pass && passes[side{p.Tier, d}] {
		end(&block.Ungranted, "ungranted", "")
	}
	for i, r := range b.Rules {
		name := fmt.Sprintf("%s.%s#%d", p.Name, d, i+1)
		if r.Label != "" {
			name = p.Name + "." + r.Label
		}
		block.Rules[i] = program.Rule{
			Action: r.Action, Peers: r.Peers, L4: r.L4, L7: r.L7, Log: r.Log, Reject: r.Reject, Audit: r.Audit,
		}
		if r.Action == program.Allow && hasDomain(r.Peers) {
			block.Rules[i].Resolvers = resolvers(b, r)
		}
		*ids = append(*ids, numbered{
			&block.Rules[i].ID,
			program.Source{Key: name, Name: name, Tier: tier.Name},
			place{span: r.PlaceSpan, rule: r},
		})
	}
	return block
}

// resolvers returns those that answer for the domain peers of an allow.
func resolvers(b *check.Block, r *check.Rule) []program.Resolver {
	switch {
	case len(r.Resolvers) > 0:
		return r.Resolvers
	case len(b.Resolvers) > 0:
		return b.Resolvers
	}
	return []program.Resolver{{Name: "node", Node: true}}
}

func hasDomain(ps program.Peers) bool {
	return slices.ContainsFunc(ps.Include, func(p program.Peer) bool { return p.Kind == program.PeerDomain })
}
