// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"slices"

	"mpol/compiler/bruteforce"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// brute judges by the evaluator straight over the Module, of which it makes others.
type brute struct {
	module *check.Module
	inv    program.Inventory
}

// allows reports whether a flow is allowed.
func (b brute) allows(f verdict.Flow) bool {
	e := bruteforce.Evaluator{Module: b.module, Inventory: b.inv}
	return e.Judge(f).Action != verdict.Deny
}

// half judges one half of a flow: nobody but its subject is enforced.
func (b brute) half(f verdict.Flow, d program.Direction) (v bruteforce.Verdict, exists bool) {
	subject := f.From
	if d == program.Ingress {
		subject = f.To
	}
	inv := b.inv
	inv.Workloads = slices.Clone(inv.Workloads)
	for i := range inv.Workloads {
		if w := &inv.Workloads[i]; w.Name != subject.Workload {
			w.Interface = ""
		}
	}
	m := *b.module
	if subject.Workload != "" {
		m.Policies = slices.DeleteFunc(slices.Clone(m.Policies), func(p *check.Policy) bool { return p.Subject.Host })
	}
	e := bruteforce.Evaluator{Module: &m, Inventory: inv}
	v = e.Judge(f)
	return v, v.Reason != verdict.Foreign
}

// rests reports whether a half of a flow is decided by a rule, perhaps with others: it is, where the rule
// is the first of all.
func (b brute) rests(f verdict.Flow, d program.Direction, at place) bool {
	first := *b.module
	p := *first.Policies[at.policy]
	block := *blockOf(&p, at.d)
	r := *block.Rules[at.rule]
	name := p.Name + "." + r.Label
	block.Rules = append([]*check.Rule{&r}, slices.Delete(slices.Clone(block.Rules), at.rule, at.rule+1)...)
	setBlock(&p, at.d, &block)
	first.Policies = append([]*check.Policy{&p}, slices.Delete(slices.Clone(first.Policies), at.policy, at.policy+1)...)
	v, exists := brute{&first, b.inv}.half(f, d)
	return exists && v.Reason == verdict.ByRule && v.Rule == name
}

// place is where a rule stands in a module.
type place struct {
	policy, rule int
	d            program.Direction
}

// rules returns the places of all rules.
func (b brute) rules() []place {
	var out []place
	for i, p := range b.module.Policies {
		for _, d := range []program.Direction{program.Ingress, program.Egress} {
			if block := blockOf(p, d); block != nil {
				for j := range block.Rules {
					out = append(out, place{i, j, d})
				}
			}
		}
	}
	return out
}

func (b brute) rule(at place) *check.Rule {
	return blockOf(b.module.Policies[at.policy], at.d).Rules[at.rule]
}

// with has another rule in the place of one, or none.
func (b brute) with(at place, r *check.Rule) brute {
	m := *b.module
	p := *m.Policies[at.policy]
	block := *blockOf(&p, at.d)
	block.Rules = slices.Clone(block.Rules)
	if r == nil {
		block.Rules = slices.Delete(block.Rules, at.rule, at.rule+1)
	} else {
		block.Rules[at.rule] = r
	}
	setBlock(&p, at.d, &block)
	m.Policies = slices.Clone(m.Policies)
	m.Policies[at.policy] = &p
	return brute{&m, b.inv}
}

// taking has a comparison of every selector with a text taken as true or as false.
func (b brute) taking(text string, atom int, as bool) brute {
	swap := func(s *program.Selector) *program.Selector {
		if s == nil || s.String() != text {
			return s
		}
		n := 0
		return taken(s, atom, as, &n)
	}
	m := *b.module
	m.Policies = slices.Clone(m.Policies)
	for i, p := range m.Policies {
		q := *p
		q.Subject.Selector = swap(q.Subject.Selector)
		for _, d := range []program.Direction{program.Ingress, program.Egress} {
			if blockOf(p, d) == nil {
				continue
			}
			block := *blockOf(p, d)
			block.Rules = slices.Clone(block.Rules)
			for j, r := range block.Rules {
				s := *r
				for _, list := range []*[]program.Peer{&s.Peers.Include, &s.Peers.Except} {
					*list = slices.Clone(*list)
					for k := range *list {
						(*list)[k].Selector = swap((*list)[k].Selector)
					}
				}
				block.Rules[j] = &s
			}
			setBlock(&q, d, &block)
		}
		m.Policies[i] = &q
	}
	return brute{&m, b.inv}
}

// taken is a selector with its comparison number atom, counted by n, taken as true or as false.
func taken(s *program.Selector, atom int, as bool, n *int) *program.Selector {
	if len(s.Args) == 0 {
		*n++
		switch {
		case *n-1 != atom:
			return s
		case as:
			not := &program.Selector{Op: program.OpNot, Args: []*program.Selector{s}}
			return &program.Selector{Op: program.OpOr, Args: []*program.Selector{s, not}}
		}
		not := &program.Selector{Op: program.OpNot, Args: []*program.Selector{s}}
		return &program.Selector{Op: program.OpAnd, Args: []*program.Selector{s, not}}
	}
	out := *s
	out.Args = slices.Clone(s.Args)
	for i, a := range out.Args {
		out.Args[i] = taken(a, atom, as, n)
	}
	return &out
}

func blockOf(p *check.Policy, d program.Direction) *check.Block {
	if d == program.Ingress {
		return p.Ingress
	}
	return p.Egress
}

func setBlock(p *check.Policy, d program.Direction, b *check.Block) {
	if d == program.Ingress {
		p.Ingress = b
	} else {
		p.Egress = b
	}
}
