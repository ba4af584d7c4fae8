// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"cmp"
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// patch is policies in the place of others; every rule keeps its RuleID.
type patch map[*program.Policy]*program.Policy

// without returns a policy less one rule.
func without(p *program.Policy, d program.Direction, index int) *program.Policy {
	return withRules(p, d, slices.Delete(slices.Clone(p.Block(d).Rules), index, index+1))
}

// replaced returns a policy with another rule in the place of one.
func replaced(p *program.Policy, d program.Direction, index int, r program.Rule) *program.Policy {
	rules := slices.Clone(p.Block(d).Rules)
	rules[index] = r
	return withRules(p, d, rules)
}

func withRules(p *program.Policy, d program.Direction, rules []program.Rule) *program.Policy {
	out, b := *p, *p.Block(d)
	b.Rules = rules
	if d == program.Ingress {
		out.Ingress = &b
	} else {
		out.Egress = &b
	}
	return &out
}

// scene is a test as policies see it. What becomes of its lines hangs on no policy but those that
// select somebody in it.
type scene struct {
	test          *check.Test
	first         int               // index of its first line among those of all tests
	policies      []*program.Policy // that select somebody in it or the host, in file order
	cast          []int             // its workloads, as sets of labels
	outside, host bool              // some line names such an end
}

// scenes are the tests of a module.
type scenes struct {
	suite  *Suite
	all    []scene
	of     map[*program.Policy][]int // in which a policy selects somebody
	place  map[*program.Policy]int   // of the policies, in file order
	labels []labeled
}

// labeled is a set of labels with the scenes in which a workload has it.
type labeled struct {
	workload program.Workload
	policies []*program.Policy
	scenes   []int
}

func newScenes(s *Suite, tests []*check.Test) scenes {
	out := scenes{suite: s, of: map[*program.Policy][]int{}, place: map[*program.Policy]int{}}
	for i, p := range s.judge.Rules().Policies {
		out.place[p] = i
	}
	known, first := map[string]int{}, 0
	host := s.judge.Policies(nil)
	for i, t := range tests {
		one := scene{test: t, first: first, policies: slices.Clone(host)}
		one.ends()
		for _, p := range t.Parties {
			if !p.Outside {
				out.join(&one, i, program.Workload{Labels: p.Labels}, known)
			}
		}
		out.sort(one.policies)
		one.policies = slices.Compact(one.policies)
		for _, p := range one.policies {
			out.of[p] = append(out.of[p], i)
		}
		out.all = append(out.all, one)
		first += len(t.Lines)
	}
	return out
}

// ends finds out who beside workloads has a part in the test.
func (s *scene) ends() {
	see := func(e check.End) {
		s.host = s.host || e.Host
		s.outside = s.outside || e.Party == "" && !e.Host
	}
	for i := range s.test.Lines {
		see(s.test.Lines[i].From)
		for _, e := range s.test.Lines[i].To {
			see(e)
		}
	}
	s.outside = s.outside || slices.ContainsFunc(s.test.Parties, func(p check.Party) bool { return p.Outside })
}

// join adds a workload to a scene; known finds sets of labels.
func (all *scenes) join(s *scene, scene int, w program.Workload, known map[string]int) {
	text := labelText(w.Labels)
	n, old := known[text]
	if !old {
		n = len(all.labels)
		known[text] = n
		all.labels = append(all.labels, labeled{workload: w, policies: all.suite.judge.Policies(&w)})
	}
	l := &all.labels[n]
	s.policies = append(s.policies, l.policies...)
	if !slices.Contains(s.cast, n) {
		s.cast, l.scenes = append(s.cast, n), append(l.scenes, scene)
	}
}

// sort puts policies into file order.
func (all *scenes) sort(policies []*program.Policy) {
	slices.SortFunc(policies, func(a, b *program.Policy) int { return cmp.Compare(all.place[a], all.place[b]) })
}

// run judges the lines of a scene with a patch.
func (all *scenes) run(s *scene, by patch) []Result {
	policies := slices.Clone(s.policies)
	for old, p := range by {
		gained := func(n int) bool { return Selects(p.Subject, &all.labels[n].workload) }
		if !slices.Contains(s.policies, old) && slices.ContainsFunc(s.cast, gained) {
			policies = append(policies, old)
		}
	}
	all.sort(policies)
	for i, p := range policies {
		policies[i] = cmp.Or(by[p], p)
	}
	rules := *all.suite.judge.Rules()
	rules.Policies = policies
	suite := *all.suite
	suite.judge = verdict.New(&rules)
	return suite.Run(s.test)
}

// concerns reports whether it may make a difference to a scene that a policy selects a workload in it
// that it did not. It makes none where another policy ends the same directions in the same tier, and no
// rule of p speaks of anybody in the scene.
func (all *scenes) concerns(s *scene, p *program.Policy, workload int) bool {
	for _, d := range []program.Direction{program.Egress, program.Ingress} {
		b := p.Block(d)
		if b == nil {
			continue
		}
		ends := func(q *program.Policy) bool { return q.Tier == p.Tier && counts(q, d) }
		if !slices.ContainsFunc(all.labels[workload].policies, ends) {
			return true
		}
		if slices.ContainsFunc(b.Rules, func(r program.Rule) bool { return all.speaks(s, &r, workload) }) {
			return true
		}
	}
	return false
}

// counts reports whether a policy has a direction for verdicts.
func counts(p *program.Policy, d program.Direction) bool {
	b := p.Block(d)
	return b != nil && !p.Audit && (len(b.Rules) == 0 || slices.ContainsFunc(b.Rules, func(r program.Rule) bool { return !r.Audit }))
}

// speaks reports whether a rule for a workload may be about anybody in a scene, or about more than one
// flow.
func (all *scenes) speaks(s *scene, r *program.Rule, workload int) bool {
	if r.Audit {
		return false
	}
	if r.Action == program.Pass || r.L7 != nil && r.L7.Kind == program.L7DNS {
		return true
	}
	anybody := func(is func(*program.Workload) bool) bool {
		return slices.ContainsFunc(s.cast, func(n int) bool { return is(&all.labels[n].workload) })
	}
	return slices.ContainsFunc(r.Peers.Include, func(t program.Peer) bool {
		switch t.Kind {
		case program.PeerSelector:
			return anybody(func(w *program.Workload) bool { return Meets(t.Selector, w) })
		case program.PeerSame:
			_, has := all.labels[workload].workload.Label(t.Key)
			return has
		case program.PeerHost:
			return s.host
		case program.PeerWorld, program.PeerInternet:
			return s.outside
		}
		return true
	})
}
