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

	byName  map[string]*resident
	byAddr  map[netip.Addr]*resident
	node    map[netip.Addr]bool
	special []netip.Prefix
	host    bool                    // some policy is for the host, which is therefore enforced
	byLabel map[program.Label][]int // policies that want one of some labels
	byElse  []int                   // the others

	searches map[string]*search // by direction and labels, or host
	itself   *resident          // the host
	re       expressions
}

// resident is a workload, or nil for the host, with its searches by direction as far as they were
// asked for.
type resident struct {
	workload *program.Workload
	searches [2]*search
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
	e := &Evaluator{
		marked: marked, special: program.SpecialPurpose(), searches: make(map[string]*search), byLabel: make(map[program.Label][]int), re: make(expressions),
	}
	for i := range rules.Policies {
		p := &rules.Policies[i]
		e.host = e.host || p.Subject.Host && (e.block(p, program.Egress) != nil || e.block(p, program.Ingress) != nil)
		if s := p.Subject.Selector; s != nil && s.Op == program.OpIn {
			for _, v := range s.Values {
				l := program.Label{Key: s.Key, Value: v}
				e.byLabel[l] = append(e.byLabel[l], i)
			}
		} else {
			e.byElse = append(e.byElse, i)
		}
	}
	e.settle(rules)
	return e
}

// settle makes e find the workloads of the inventory.
func (e *Evaluator) settle(rules *program.Rules) {
	inv := &rules.Inventory
	e.rules = rules
	e.byName = make(map[string]*resident, len(inv.Workloads))
	e.byAddr = make(map[netip.Addr]*resident, len(inv.Workloads))
	e.node = make(map[netip.Addr]bool, len(inv.Node))
	e.itself = &resident{}
	residents := make([]resident, len(inv.Workloads))
	for i := range inv.Workloads {
		w := &residents[i]
		w.workload = &inv.Workloads[i]
		e.byName[w.workload.Name] = w
		for _, a := range w.workload.Addresses {
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
	// about are the steps with those rules alone that have a say at a protocol and port, as far as it
	// was asked for.
	about map[l4][]step
}

type step struct {
	defaults program.Action
	blocks   []*program.Block // in file order
	rules    []*program.Rule  // in file order
}

type l4 struct {
	proto uint8
	port  uint16
}

// maxAbout bounds what a search remembers.
const maxAbout = 4096

// at returns the steps with the rules that have a say at a protocol and port.
func (s *search) at(proto uint8, port uint16) []step {
	key := l4{proto, port}
	if found, ok := s.about[key]; ok {
		return found
	}
	steps := slices.Clone(s.steps)
	for i := range steps {
		var rules []*program.Rule
		for _, r := range steps[i].rules {
			if covers(r.L4, proto, port) || hasDomain(r.Peers) { // a domain is asked for at other ports too
				rules = append(rules, r)
			}
		}
		steps[i].rules = rules
	}
	if len(s.about) == maxAbout {
		clear(s.about)
	}
	s.about[key] = steps
	return steps
}

func covers(l4s []program.L4, proto uint8, port uint16) bool {
	for _, l := range l4s {
		if l.Contains(proto, port) {
			return true
		}
	}
	return false
}

// searchOf finds the search for a subject.
func (e *Evaluator) searchOf(d program.Direction, r *resident) *search {
	if r.searches[d] != nil {
		return r.searches[d]
	}
	key := d.String() + " host"
	if r.workload != nil {
		key = d.String() + " " + labelsKey(r.workload.Labels)
	}
	if e.searches[key] == nil {
		e.searches[key] = e.newSearch(d, r.workload)
	}
	r.searches[d] = e.searches[key]
	return r.searches[d]
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
	policies := slices.Clone(e.byElse)
	for i := range labelsOf(w) {
		policies = append(policies, e.byLabel[w.Labels[i]]...)
	}
	slices.Sort(policies)
	for _, i := range policies {
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
	s := &search{about: make(map[l4][]step)}
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

func labelsOf(w *program.Workload) []program.Label {
	if w == nil {
		return nil // the host has none
	}
	return w.Labels
}

func passes(r *program.Rule) bool { return r.Action == program.Pass }
