// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"
	"strings"

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
func Walk(rules *program.Rules, f verdict.Flow, d program.Direction) []Step {
	var steps []Step
	for t := range rules.Tiers {
		step := Step{Tier: rules.Tiers[t]}
		for _, p := range rules.Policies {
			if p.Tier != t || p.Block(d) == nil || !selects(rules, p, f, d) {
				continue
			}
			ps := PolicyStep{Name: p.Name, Audit: p.Audit}
			for j := range p.Block(d).Rules {
				ps.Rules = append(ps.Rules, standing(rules, p, &p.Block(d).Rules[j], f, d))
			}
			step.Policies = append(step.Policies, ps)
		}
		if len(step.Policies) > 0 {
			steps = append(steps, step)
		}
	}
	return steps
}

// selects reports whether a policy is one for the subject of a half.
func selects(rules *program.Rules, p *program.Policy, f verdict.Flow, d program.Direction) bool {
	all := everything()
	return alone(rules, p, all, f, d)
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

// Near says which rules of a half that denies f would allow it if one thing were different: "NAME
// would allow this on tcp/8080".
func Near(rules *program.Rules, f verdict.Flow, d program.Direction) []string {
	var near []string
	for _, step := range Walk(rules, f, d) {
		for _, p := range step.Policies {
			for _, r := range p.Rules {
				if text := r.near(f, d); text != "" && !p.Audit && !r.Rule.Audit {
					near = append(near, rules.Source(r.Rule.ID).Name+" would allow this "+text)
				}
			}
		}
	}
	return near
}

// near says what would have to be different for an allow to match, or nothing.
func (s RuleStep) near(f verdict.Flow, d program.Direction) string {
	switch {
	case s.Matches || s.Rule.Action != program.Allow:
		return ""
	case s.Port && !s.Speaks(f.Proto):
		return "" // nobody mistakes a protocol
	case s.Port:
		return "on " + l4Text(s.Rule.L4)
	case s.Content:
		return "with " + s.Rule.L7.String()
	case s.Peer && d == program.Ingress:
		return "from " + s.Rule.Peers.String()
	case s.Peer:
		return "to " + s.Rule.Peers.String()
	}
	return ""
}

// Speaks reports whether the rule is about a protocol at some port.
func (s RuleStep) Speaks(proto uint8) bool {
	return slices.ContainsFunc(s.Rule.L4, func(l program.L4) bool { return l.Any || l.Proto == proto })
}

func l4Text(list []program.L4) string {
	texts := make([]string, len(list))
	for i, l := range list {
		texts[i] = fmt.Sprint(l)
	}
	return strings.Join(texts, ", ")
}
