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

// world is what one test gives, before the ends of a line have addresses.
type world struct {
	test      *check.Test
	rules     program.Rules
	resolvers []netip.Addr
	// from and to are addresses for an end that has none: one in each prefix that rules tell from
	// others and in which a workload may live.
	from, to []netip.Addr
}

func newWorld(m *check.Module, t *check.Test) *world {
	w := &world{test: t}
	for _, v4 := range []bool{true, false} {
		i := slices.IndexFunc(samples(m, w.stated()), func(s compiler.Sample) bool { return s[0].Is4() == v4 && !special(s[0]) })
		if i >= 0 {
			w.resolvers = append(w.resolvers, samples(m, w.stated())[i][0])
		}
	}
	for _, s := range samples(m, append(w.stated(), w.resolvers...)) {
		w.from, w.to = append(w.from, s[0]), append(w.to, s[1])
	}
	inv := program.Inventory{Resolvers: w.resolvers}
	for _, p := range t.Parties {
		if !p.Outside {
			inv.Workloads = append(inv.Workloads, program.Workload{
				Name: p.Name, Labels: p.Labels, Addresses: p.Addresses, Interface: p.Name,
			})
		}
	}
	slices.SortFunc(inv.Workloads, func(a, b program.Workload) int { return cmp.Compare(a.Name, b.Name) })
	w.rules = compiler.Resolve(m, inv)
	return w
}

// samples are addresses that a workload or node may well have. A verdict that hangs on others, such
// as the address of a metadata service, does not make a line uncertain.
func samples(m *check.Module, taken []netip.Addr) []compiler.Sample {
	return slices.DeleteFunc(compiler.Samples(m, taken), func(s compiler.Sample) bool {
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
	for _, l := range w.test.Lines {
		for _, e := range append(slices.Clone(l.To), l.From) {
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
		add("", false, false, w.resolvers)
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

// with returns the rules where the given ends have their addresses.
func (w *world) with(ps ...place) *program.Rules {
	rules := w.rules
	rules.Inventory.Workloads = slices.Clone(rules.Inventory.Workloads)
	for _, p := range ps {
		if p.host {
			rules.Inventory.Node = []netip.Addr{p.end.Addr}
		}
		for i := range rules.Inventory.Workloads {
			if w := &rules.Inventory.Workloads[i]; p.open && w.Name == p.end.Workload {
				w.Addresses = []netip.Addr{p.end.Addr}
			}
		}
	}
	return &rules
}
