// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// Suite runs the tests of one module, one by one; it holds what they share. It is not safe for
// concurrent use: each goroutine wants one of its own, a Clone.
type Suite struct {
	judge   *verdict.Evaluator // of an inventory without anybody
	sampler *compiler.Sampler
	// resolvers are those that rules name, beside "node".
	resolvers []program.Resolver
}

// New makes a suite of a module without errors.
func New(m *check.Module) *Suite {
	rules := compiler.Resolve(m, program.Inventory{})
	s := &Suite{judge: verdict.New(&rules), sampler: compiler.NewSampler(&rules)}
	for _, p := range rules.Policies {
		if b := p.Egress; b != nil {
			for j := range b.Rules {
				s.resolve(b.Rules[j].Resolvers)
			}
		}
	}
	return s
}

// resolve adds resolvers that a rule names.
func (s *Suite) resolve(resolvers []program.Resolver) {
	for _, x := range resolvers {
		if !x.Node && !slices.ContainsFunc(s.resolvers, func(y program.Resolver) bool { return x.Name == y.Name }) {
			s.resolvers = append(s.resolvers, x)
		}
	}
}

// Clone returns a suite of the same module for another goroutine.
func (s *Suite) Clone() *Suite {
	clone := *s
	clone.judge = verdict.New(s.judge.Rules())
	return &clone
}

// world is what one test gives, before the ends of a line have addresses, with all that its lines
// share.
type world struct {
	*Suite
	test    *check.Test
	inv     program.Inventory
	settled []program.Workload // of inv, those whose addresses the test states
	taken   []netip.Addr       // that the test names, and those of the resolvers
	parties map[string]*check.Party
	scopes  map[[2]string]*scope
	scenes  map[[2]place]*verdict.Evaluator
	asked   map[query][]tried
	answers map[arrival][]verdict.Answer
	given   givenAnswers
}

func (s *Suite) world(t *check.Test) *world {
	w := &world{
		Suite: s, test: t, parties: make(map[string]*check.Party), scopes: make(map[[2]string]*scope),
		scenes: make(map[[2]place]*verdict.Evaluator), asked: make(map[query][]tried), answers: make(map[arrival][]verdict.Answer),
		given: newGivenAnswers(t.Answers),
	}
	w.taken = w.stated()
	for _, v4 := range []bool{true, false} {
		if a, ok := s.sampler.Internet(v4, w.taken); ok {
			w.inv.Resolvers = append(w.inv.Resolvers, a)
		}
	}
	w.taken = append(w.taken, w.inv.Resolvers...)
	for i := range t.Parties {
		p := &t.Parties[i]
		w.parties[p.Name] = p
		if !p.Outside {
			w.inv.Workloads = append(w.inv.Workloads, workload(p, p.Addresses...))
		}
	}
	slices.SortFunc(w.inv.Workloads, byName)
	for _, x := range w.inv.Workloads {
		if len(x.Addresses) > 0 {
			w.settled = append(w.settled, x)
		}
	}
	return w
}

func workload(p *check.Party, at ...netip.Addr) program.Workload {
	return program.Workload{Name: p.Name, Labels: p.Labels, Addresses: at, Interface: p.Name}
}

func byName(a, b program.Workload) int { return cmp.Compare(a.Name, b.Name) }

// stated returns every address that the test names.
func (w *world) stated() []netip.Addr {
	var as []netip.Addr
	for _, p := range w.test.Parties {
		as = append(as, p.Addresses...)
	}
	for _, a := range w.test.Answers {
		as = append(as, a.Addresses...)
	}
	for i := range w.test.Lines {
		l := &w.test.Lines[i]
		if l.From.Addr.IsValid() {
			as = append(as, l.From.Addr)
		}
		for _, e := range l.To {
			if e.Addr.IsValid() {
				as = append(as, e.Addr)
			}
		}
	}
	return as
}

// place is an end of a line at one of its addresses. Open says that the test does not state it.
type place struct {
	end  verdict.End
	host bool
	open bool
}

// places returns where an end that is no name may be; spare are addresses for one that has none.
func (w *world) places(e check.End, spare []netip.Addr) []place {
	one := place{host: e.Host, open: e.Host}
	at := spare
	switch {
	case e.Host:
	case e.Node:
		at = w.inv.Resolvers
	case e.Party == "":
		at = []netip.Addr{e.Addr}
	default:
		p := w.parties[e.Party]
		if !p.Outside {
			one.end.Workload = p.Name
		}
		if one.open = len(p.Addresses) == 0; !one.open {
			at = p.Addresses
		}
	}
	out := make([]place, len(at))
	for i, a := range at {
		out[i] = one
		out[i].end.Addr = a
	}
	return out
}

// with returns what judges where the given ends, of which the second may be none, have their
// addresses. Who has no address takes no part in it.
func (w *world) with(a, b place) *verdict.Evaluator {
	key := [2]place{}
	for i, p := range []place{a, b} {
		if p.open {
			key[i] = p
		}
	}
	if e := w.scenes[key]; e != nil {
		return e
	}
	inv := w.inv
	inv.Workloads = slices.Clone(w.settled)
	for _, p := range key {
		if p.host {
			inv.Node = []netip.Addr{p.end.Addr}
		}
		if p.open && p.end.Workload != "" {
			inv.Workloads = append(inv.Workloads, workload(w.parties[p.end.Workload], p.end.Addr))
		}
	}
	slices.SortFunc(inv.Workloads, byName)
	w.scenes[key] = w.judge.With(inv)
	return w.scenes[key]
}
