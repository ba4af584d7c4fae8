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
// concurrent use: each goroutine wants one of its own.
type Suite struct {
	judge    *verdict.Evaluator // of an inventory without anybody
	sampler  *compiler.Sampler
	requests requests
	// resolvers are those that rules name, beside "node".
	resolvers []program.Resolver
}

// New makes a suite of a module without errors.
func New(m *check.Module) *Suite {
	rules := compiler.Resolve(m, program.Inventory{})
	s := &Suite{judge: verdict.New(&rules), sampler: compiler.NewSampler(m), requests: newRequests(&rules)}
	each(&rules, func(r *program.Rule) {
		for _, x := range r.Resolvers {
			if !x.Node && !slices.ContainsFunc(s.resolvers, func(y program.Resolver) bool { return x.Name == y.Name }) {
				s.resolvers = append(s.resolvers, x)
			}
		}
	})
	return s
}

// each calls f with every rule, in file order of the policies.
func each(rules *program.Rules, f func(*program.Rule)) {
	for i := range rules.Policies {
		for _, b := range []*program.Block{rules.Policies[i].Egress, rules.Policies[i].Ingress} {
			if b == nil {
				continue
			}
			for j := range b.Rules {
				f(&b.Rules[j])
			}
		}
	}
}

// world is what one test gives, before the ends of a line have addresses.
type world struct {
	*Suite
	test *check.Test
	inv  program.Inventory
	// from and to are addresses for an end that has none: one in each prefix that rules tell from
	// others and in which a workload may live.
	from, to []netip.Addr
	scenes   map[[2]place]*verdict.Evaluator
}

func (s *Suite) world(t *check.Test) *world {
	w := &world{Suite: s, test: t, scenes: make(map[[2]place]*verdict.Evaluator)}
	taken := w.stated()
	for _, v4 := range []bool{true, false} {
		free := s.samples(taken)
		i := slices.IndexFunc(free, func(s compiler.Sample) bool { return s[0].Is4() == v4 && !special(s[0]) })
		if i >= 0 {
			w.inv.Resolvers = append(w.inv.Resolvers, free[i][0])
		}
	}
	for _, s := range s.samples(append(taken, w.inv.Resolvers...)) {
		w.from, w.to = append(w.from, s[0]), append(w.to, s[1])
	}
	for _, p := range t.Parties {
		if !p.Outside {
			w.inv.Workloads = append(w.inv.Workloads, program.Workload{
				Name: p.Name, Labels: p.Labels, Addresses: p.Addresses, Interface: p.Name,
			})
		}
	}
	slices.SortFunc(w.inv.Workloads, func(a, b program.Workload) int { return cmp.Compare(a.Name, b.Name) })
	return w
}

// samples are addresses that a workload or node may well have. A verdict that hangs on others, such
// as the address of a metadata service, does not make a line uncertain.
func (s *Suite) samples(taken []netip.Addr) []compiler.Sample {
	return slices.DeleteFunc(s.sampler.Samples(taken), func(s compiler.Sample) bool {
		return special(s[0]) && !s[0].IsPrivate() && !shared().Contains(s[0])
	})
}

// shared is the block of RFC 6598, private in all but name.
func shared() netip.Prefix { return netip.MustParsePrefix("100.64.0.0/10") }

func special(a netip.Addr) bool {
	return slices.ContainsFunc(program.SpecialPurpose(), func(p netip.Prefix) bool { return p.Contains(a) })
}

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

// places returns where an end that is no name may be.
func (w *world) places(e check.End, spare []netip.Addr) []place {
	var out []place
	add := func(workload string, host, open bool, as []netip.Addr) {
		for _, a := range as {
			out = append(out, place{verdict.End{Workload: workload, Addr: a}, host, open})
		}
	}
	switch {
	case e.Host:
		add("", true, true, spare)
	case e.Node:
		add("", false, false, w.inv.Resolvers)
	case e.Party == "":
		add("", false, false, []netip.Addr{e.Addr})
	default:
		for _, p := range w.test.Parties {
			switch {
			case p.Name != e.Party:
			case p.Outside:
				add("", false, false, p.Addresses)
			case len(p.Addresses) > 0:
				add(p.Name, false, false, p.Addresses)
			default:
				add(p.Name, false, true, spare)
			}
		}
	}
	return out
}

// with returns what judges where the given ends, of which the second may be none, have their
// addresses.
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
	inv.Workloads = slices.Clone(inv.Workloads)
	for _, p := range key {
		if p.host {
			inv.Node = []netip.Addr{p.end.Addr}
		}
		for i := range inv.Workloads {
			if p.open && inv.Workloads[i].Name == p.end.Workload {
				inv.Workloads[i].Addresses = []netip.Addr{p.end.Addr}
			}
		}
	}
	w.scenes[key] = w.judge.With(inv)
	return w.scenes[key]
}
