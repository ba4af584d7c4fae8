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

// policy is a policy of the module with what it becomes. It never changes once it is resolved, but for
// its place in the program.
type policy struct {
	*check.Policy
	serial uint64  // its own
	passes [2]bool // by direction: some rule passes on

	// content is the policy as a program has it, but that its RuleIDs count from 1, nil until it is
	// resolved; sources and places are those of its RuleIDs, in file order.
	content *program.Policy
	sources []*program.Source
	places  []place
	diags   diag.List // what cannot be lowered in it
	mention mention

	index    int             // among the policies of the program
	base     program.RuleID  // how much greater its RuleIDs are in the program
	numbered *program.Policy // content with those, nil until they are known
}

// place is where a RuleID stands; rule is nil for a default.
type place struct {
	span diag.Span
	rule *check.Rule
}

// resolution is what Memory knows of policies. It holds as long as tiers and passes do.
type resolution struct {
	tiers    []program.Tier
	passing  [][2]int        // by tier and direction: policies in which some rule passes on
	given    []*check.Policy // of the last run
	all      []*policy       // what they have become
	policies map[*check.Policy]*policy
	wrong    int // how many have diagnostics
	serial   uint64
	numbers  numbers
}

// resolve makes the policies those of a module, and returns which of them came and which went; one that
// has fallen behind another does both. It looks only at those between what stays at both ends.
func (m *resolution) resolve(module *check.Module) (came, went []*policy) {
	if !slices.Equal(m.tiers, module.Tiers) || m.policies == nil {
		return m.renew(module)
	}
	first, last := common(m.given, module.Policies)
	if first == len(m.given) && first == len(module.Policies) {
		return nil, nil
	}
	before, behind := m.all[first:len(m.all)-last], m.all[len(m.all)-last:]
	all := append(make([]*policy, 0, len(module.Policies)), m.all[:first]...)
	furthest := 0
	for _, source := range module.Policies[first : len(module.Policies)-last] {
		p := m.policies[source]
		if p == nil || p.index < furthest {
			p = newPolicy(source)
			came = append(came, p)
		} else {
			furthest = p.index
		}
		all = append(all, p)
	}
	all = append(all, behind...)
	for i := first; i < len(all); i++ {
		all[i].index = i
	}
	for _, p := range before {
		if p.index >= len(all) || all[p.index] != p {
			went = append(went, p)
		}
	}
	passing := slices.Clone(m.passing)
	count(passing, came, 1)
	count(passing, went, -1)
	if !slices.EqualFunc(passing, m.passing, func(a, b [2]int) bool { return passes(a) == passes(b) }) {
		return m.renew(module)
	}
	m.given, m.all, m.passing = module.Policies, all, passing
	m.take(came, went)
	return came, went
}

// renew makes all policies anew.
func (m *resolution) renew(module *check.Module) (came, went []*policy) {
	went = m.all
	m.tiers, m.passing, m.policies = module.Tiers, make([][2]int, len(module.Tiers)), make(map[*check.Policy]*policy)
	m.given, m.all = module.Policies, make([]*policy, len(module.Policies))
	for i, source := range module.Policies {
		m.all[i] = newPolicy(source)
		m.all[i].index = i
	}
	count(m.passing, m.all, 1)
	m.take(m.all, went)
	return m.all, went
}

// take resolves the policies that came and lets go of those that went.
func (m *resolution) take(came, went []*policy) {
	for _, p := range went {
		m.wrong -= bit(len(p.diags) > 0)
		if m.policies[p.Policy] == p {
			delete(m.policies, p.Policy)
		}
	}
	for _, p := range came {
		m.serial++
		p.serial = m.serial
		p.resolve(m.tiers[p.Tier], passes(m.passing[p.Tier]))
		m.policies[p.Policy] = p
		m.wrong += bit(len(p.diags) > 0)
	}
}

// mistakes are the diagnostics of all policies.
func (m *resolution) mistakes() (list diag.List) {
	if m.wrong == 0 {
		return nil
	}
	for _, p := range m.all {
		list = append(list, p.diags...)
	}
	return list
}

// count adds one for each policy in which some rule passes on, by tier and direction.
func count(passing [][2]int, policies []*policy, one int) {
	for _, p := range policies {
		for d, some := range p.passes {
			passing[p.Tier][d] += one * bit(some)
		}
	}
}

func passes(counts [2]int) [2]bool { return [2]bool{counts[0] > 0, counts[1] > 0} }

// common returns how many elements two slices share at the start and, of the others, at the end.
func common[T comparable](a, b []T) (first, last int) {
	for first < min(len(a), len(b)) && a[first] == b[first] {
		first++
	}
	for last < min(len(a), len(b))-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	return first, last
}

func newPolicy(source *check.Policy) *policy {
	p := &policy{Policy: source}
	for d, b := range p.blocks() {
		p.passes[d] = b != nil && slices.ContainsFunc(b.Rules, func(r *check.Rule) bool { return r.Action == program.Pass })
	}
	return p
}

// blocks are by direction.
func (p *policy) blocks() []*check.Block {
	return []*check.Block{program.Egress: p.Egress, program.Ingress: p.Ingress}
}

// resolve fills p in for its tier, in which some rule of a direction passes on or none does.
func (p *policy) resolve(tier program.Tier, passes [2]bool) {
	p.content = &program.Policy{Name: p.Name, Tier: p.Tier, Subject: p.Subject, Audit: p.Audit}
	var ids []numbered
	p.content.Ingress = p.block(program.Ingress, p.Ingress, tier, passes, &ids)
	p.content.Egress = p.block(program.Egress, p.Egress, tier, passes, &ids)
	slices.SortStableFunc(ids, func(a, b numbered) int {
		return cmp.Compare(a.place.span.Start.Offset, b.place.span.Start.Offset)
	})
	sources := make([]program.Source, len(ids))
	for i, n := range ids {
		*n.id = program.RuleID(i + 1)
		s := n.place.span
		n.source.File, n.source.Line, n.source.Column = s.File, s.Start.Line, s.Start.Column
		sources[i] = n.source
		p.sources, p.places = append(p.sources, &sources[i]), append(p.places, n.place)
	}
	p.mention.policy(p.content)
	for _, d := range []program.Direction{program.Egress, program.Ingress} {
		if b := p.content.Block(d); b != nil {
			for i := range b.Rules {
				p.checkRule(&b.Rules[i], d)
			}
		}
	}
}

// numbered is a rule or default that wants a RuleID.
type numbered struct {
	id     *program.RuleID
	source program.Source
	place  place
}

func (p *policy) block(d program.Direction, b *check.Block, tier program.Tier, passes [2]bool, ids *[]numbered) *program.Block {
	if b == nil {
		return nil
	}
	block := &program.Block{Rules: make([]program.Rule, len(b.Rules))}
	end := func(id *program.RuleID, name, tier string) {
		*ids = append(*ids, numbered{
			id, program.Source{Key: p.Name + "." + d.String() + ":" + name, Name: name, Tier: tier}, place{span: b.Span},
		})
	}
	end(&block.Default, tier.Name+".default", tier.Name)
	if tier.Default != program.Pass && passes[d] {
		end(&block.Ungranted, "ungranted", "")
	}
	for i, r := range b.Rules {
		name := p.Name + "." + r.Label
		if r.Label == "" {
			name = fmt.Sprintf("%s.%s#%d", p.Name, d, i+1)
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

// selects reports whether p governs a kin.
func (p *policy) selects(k *kin) bool {
	switch {
	case p.Audit:
		return false
	case k.owner == host:
		return p.Subject.Host
	}
	return p.Subject.All || p.Subject.Selector != nil && meets(k.labels, p.Subject.Selector)
}

// place says where a rule of p stands, by the RuleID that it has in p.
func (p *policy) place(id program.RuleID) place { return p.places[id-1] }

// key is that of a rule of p.
func (p *policy) key(id program.RuleID) string { return p.sources[id-1].Key }

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
