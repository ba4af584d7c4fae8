// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
)

// Evaluator judges flows by rules that do not change. It finds the workloads by name and address and
// remembers which policies select whom; what it says is what the rules say. It is not safe for
// concurrent use: each goroutine wants one of its own.
type Evaluator struct {
	rules  *program.Rules
	marked bool // audit marks count
	// bare is the same without audit marks, nil where there are none.
	bare *Evaluator

	byName  map[string]*program.Workload
	byAddr  map[netip.Addr]*program.Workload
	node    map[netip.Addr]bool
	special []netip.Prefix
	host    bool // some policy is for the host, which is therefore enforced

	searches   map[string]*search // by direction and labels, or host
	ofWorkload [2]map[*program.Workload]*search
}

// New makes an evaluator of rules, which must not change while it is in use.
func New(rules *program.Rules) *Evaluator {
	e := newEvaluator(rules, true)
	if hasMarks(rules) {
		e.bare = newEvaluator(rules, false)
	}
	return e
}

// With returns an evaluator of the same policies for another inventory. It shares with e what hangs
// on the policies alone, so that it is cheap to make; the two are not safe for concurrent use.
func (e *Evaluator) With(inv program.Inventory) *Evaluator {
	rules := *e.rules
	rules.Inventory = inv
	f := *e
	f.settle(&rules)
	if e.bare != nil {
		bare := *e.bare
		bare.settle(&rules)
		f.bare = &bare
	}
	return &f
}

// Rules returns what e judges by.
func (e *Evaluator) Rules() *program.Rules { return e.rules }

func newEvaluator(rules *program.Rules, marked bool) *Evaluator {
	e := &Evaluator{marked: marked, special: program.SpecialPurpose(), searches: make(map[string]*search)}
	for i := range rules.Policies {
		p := &rules.Policies[i]
		e.host = e.host || p.Subject.Host && (e.block(p, program.Egress) != nil || e.block(p, program.Ingress) != nil)
	}
	e.settle(rules)
	return e
}

// settle makes e find the workloads of the inventory.
func (e *Evaluator) settle(rules *program.Rules) {
	inv := &rules.Inventory
	e.rules = rules
	e.byName = make(map[string]*program.Workload, len(inv.Workloads))
	e.byAddr = make(map[netip.Addr]*program.Workload, len(inv.Workloads))
	e.node = make(map[netip.Addr]bool, len(inv.Node))
	for d := range e.ofWorkload {
		e.ofWorkload[d] = make(map[*program.Workload]*search)
	}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		e.byName[w.Name] = w
		for _, a := range w.Addresses {
			if _, taken := e.byAddr[a.Unmap()]; !taken {
				e.byAddr[a.Unmap()] = w
			}
		}
	}
	for _, a := range inv.Node {
		e.node[a.Unmap()] = true
	}
}

func hasMarks(rules *program.Rules) bool {
	return slices.ContainsFunc(rules.Policies, func(p program.Policy) bool {
		return p.Audit || slices.ContainsFunc([]*program.Block{p.Egress, p.Ingress}, func(b *program.Block) bool {
			return b != nil && slices.ContainsFunc(b.Rules, func(r program.Rule) bool { return r.Audit })
		})
	})
}

// block returns a direction of p as it counts: one with audit rules only does not exist.
func (e *Evaluator) block(p *program.Policy, d program.Direction) *program.Block {
	b := p.Block(d)
	switch {
	case b == nil || !e.marked:
		return b
	case p.Audit:
		return nil
	case len(b.Rules) > 0 && !slices.ContainsFunc(b.Rules, func(r program.Rule) bool { return !r.Audit }):
		return nil
	}
	return b
}

// search is the tiers that can be asked about a subject in one direction, in ascending order.
type search struct {
	steps []step
	// proxied: questions of the subject are judged.
	proxied bool
}

type step struct {
	defaults program.Action
	blocks   []*program.Block // in file order
	rules    []*program.Rule  // in file order
}

// searchOf finds the search for a local workload or, if that is nil, the host.
func (e *Evaluator) searchOf(d program.Direction, w *program.Workload) *search {
	if s := e.ofWorkload[d][w]; s != nil {
		return s
	}
	key := d.String() + " host"
	if w != nil {
		key = d.String() + " " + labelsKey(w.Labels)
	}
	if e.searches[key] == nil {
		e.searches[key] = e.newSearch(d, w)
	}
	e.ofWorkload[d][w] = e.searches[key]
	return e.searches[key]
}

func labelsKey(labels []program.Label) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(strconv.Quote(l.Key) + strconv.Quote(l.Value))
	}
	return b.String()
}

func (e *Evaluator) newSearch(d program.Direction, w *program.Workload) *search {
	steps := make([]step, len(e.rules.Tiers))
	for i := range e.rules.Policies {
		p := &e.rules.Policies[i]
		b := e.block(p, d)
		if b == nil || !governs(p.Subject, w) {
			continue
		}
		st := &steps[p.Tier]
		st.blocks = append(st.blocks, b)
		for j := range b.Rules {
			if r := &b.Rules[j]; !r.Audit || !e.marked {
				st.rules = append(st.rules, r)
			}
		}
	}
	s := &search{}
	for t, st := range steps {
		if len(st.blocks) == 0 {
			continue
		}
		st.defaults = e.rules.Tiers[t].Default
		slices.SortFunc(st.rules, func(a, b *program.Rule) int { return cmp.Compare(a.ID, b.ID) })
		s.steps = append(s.steps, st)
		if st.defaults != program.Pass && !slices.ContainsFunc(st.rules, passes) {
			break // no later tier is ever asked
		}
	}
	s.proxied = d == program.Egress && slices.ContainsFunc(s.steps, func(st step) bool {
		return slices.ContainsFunc(st.rules, func(r *program.Rule) bool {
			return hasDomain(r.Peers) || r.L7 != nil && r.L7.Kind == program.L7DNS
		})
	})
	return s
}

func passes(r *program.Rule) bool { return r.Action == program.Pass }
