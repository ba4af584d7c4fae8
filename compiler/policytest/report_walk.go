// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// Step is a tier that takes part in the search for one half's verdict.
type Step struct {
	Tier     program.Tier
	Policies []PolicyStep // that select the subject and have the direction, in file order
}

// PolicyStep is a policy of a tier as the search meets it.
type PolicyStep struct {
	Name  string
	Audit bool
	Rules []RuleStep // in file order
}

// RuleStep says how one rule stands to a flow. Of a rule that does not match, Peer, Port and Content
// say that changing this one thing would make it match.
type RuleStep struct {
	Rule                *program.Rule
	Matches             bool
	Peer, Port, Content bool
}

// Walk returns the tiers that have something to say about one half of f, in ascending order; which
// of them decides is for the verdict to say. Each rule is asked alone, by the evaluator itself.
func Walk(judge *verdict.Evaluator, f verdict.Flow, d program.Direction) []Step {
	rules := meeting(judge.Rules(), f)
	self, _ := ends(f, d)
	subject := owner(&rules.Inventory, self)
	if subject == nil && !self.Addr.IsLoopback() && !slices.Contains(rules.Inventory.Node, self.Addr) {
		return nil
	}
	steps := make([]Step, len(rules.Tiers))
	for _, p := range judge.Policies(subject) {
		if p.Block(d) == nil {
			continue
		}
		ps := PolicyStep{Name: p.Name, Audit: p.Audit}
		for j := range p.Block(d).Rules {
			ps.Rules = append(ps.Rules, standing(rules, p, &p.Block(d).Rules[j], f, d))
		}
		steps[p.Tier].Policies = append(steps[p.Tier].Policies, ps)
	}
	for t := range steps {
		steps[t].Tier = rules.Tiers[t]
	}
	return slices.DeleteFunc(steps, func(s Step) bool { return len(s.Policies) == 0 })
}

// ends returns the subject of a half of f and its other end.
func ends(f verdict.Flow, d program.Direction) (subject, other verdict.End) {
	if d == program.Egress {
		return f.From, f.To
	}
	return f.To, f.From
}

// owner returns the workload at an end, nil for none.
func owner(inv *program.Inventory, e verdict.End) *program.Workload {
	i := slices.IndexFunc(inv.Workloads, func(w program.Workload) bool {
		return w.Name == e.Workload || e.Workload == "" && slices.Contains(w.Addresses, e.Addr)
	})
	if i < 0 {
		return nil
	}
	return &inv.Workloads[i]
}

// meeting returns rules with the two ends of f alone in their inventory.
func meeting(rules *program.Rules, f verdict.Flow) *program.Rules {
	less := *rules
	less.Inventory.Workloads = nil
	for _, e := range []verdict.End{f.From, f.To} {
		if w := owner(&rules.Inventory, e); w != nil && owner(&less.Inventory, verdict.End{Workload: w.Name}) == nil {
			less.Inventory.Workloads = append(less.Inventory.Workloads, *w)
		}
	}
	slices.SortFunc(less.Inventory.Workloads, byName)
	return &less
}

// everything is a rule that denies whatever there is.
func everything() program.Rule {
	return program.Rule{
		ID: 1, Action: program.Deny, L4: []program.L4{{Any: true}},
		Peers: program.Peers{Include: []program.Peer{{Kind: program.PeerAny}}},
	}
}

func standing(rules *program.Rules, p *program.Policy, r *program.Rule, f verdict.Flow, d program.Direction) RuleStep {
	s := RuleStep{Rule: r, Matches: alone(rules, p, *r, f, d)}
	if s.Matches {
		return s
	}
	relaxed := *r
	relaxed.L4 = []program.L4{{Any: true}}
	s.Port = alone(rules, p, relaxed, f, d)
	relaxed = *r
	relaxed.Peers = everything().Peers
	s.Peer = alone(rules, p, relaxed, f, d)
	relaxed = *r
	relaxed.L7 = nil
	s.Content = r.L7 != nil && alone(rules, p, relaxed, f, d)
	return s
}

// alone reports whether a rule matches a flow when it is the only one of a program. A rule that
// passes is asked as one that allows: both match alike.
func alone(rules *program.Rules, p *program.Policy, r program.Rule, f verdict.Flow, d program.Direction) bool {
	r.Audit = false
	if r.Action == program.Pass {
		r.Action = program.Allow
	}
	other := program.Allow
	if r.Action == program.Allow {
		other = program.Deny
	}
	only := program.Policy{Name: p.Name, Subject: p.Subject}
	block := &program.Block{Rules: []program.Rule{r}}
	if d == program.Ingress {
		only.Ingress = block
	} else {
		only.Egress = block
	}
	v := verdict.Decide(&program.Rules{
		Default: program.Allow, Inventory: rules.Inventory, Sources: rules.Sources,
		Tiers: []program.Tier{{Name: "alone", Default: other}}, Policies: []*program.Policy{&only},
	}, f)
	h := half(v, d)
	return h.Exists && h.Governed && h.Reason == verdict.ByRule
}

// Speaks reports whether the rule is about a protocol at some port.
func (s RuleStep) Speaks(proto uint8) bool {
	return slices.ContainsFunc(s.Rule.L4, func(l program.L4) bool { return l.Any || l.Proto == proto })
}
