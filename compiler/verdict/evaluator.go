// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"net/netip"
	"slices"

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
	host    bool                     // some policy is for the host, which is therefore enforced
	byLabel map[program.Label][]int  // policies that want one of some labels
	byElse  []int                    // the others
	numbers map[program.Label]uint32 // of labels that rules ask for

	searches map[string]*search // by direction and labels, or host
	itself   *resident          // the host
	re       expressions
}

// resident is a workload, or nil for the host, with its searches by direction as far as they were
// asked for, and the numbers of its labels.
type resident struct {
	workload *program.Workload
	searches [2]*search
	labels   []uint32
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
		numbers: make(map[program.Label]uint32),
	}
	for i, p := range rules.Policies {
		e.host = e.host || p.Subject.Host && (e.block(p, program.Egress) != nil || e.block(p, program.Ingress) != nil)
		for _, b := range []*program.Block{p.Egress, p.Ingress} {
			e.number(b)
		}
		wants := wanted(p.Subject.Selector)
		for _, l := range wants {
			e.byLabel[l] = append(e.byLabel[l], i)
		}
		if len(wants) == 0 {
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
		w.labels = e.numbered(w.workload.Labels)
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
	return slices.ContainsFunc(rules.Policies, func(p *program.Policy) bool {
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
