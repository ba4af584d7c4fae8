// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// builtins are the words for peers.
func builtin(word string) (program.PeerKind, bool) {
	kind, ok := map[string]program.PeerKind{
		"any": program.PeerAny, "workloads": program.PeerWorkloads, "host": program.PeerHost,
		"world": program.PeerWorld, "internet": program.PeerInternet,
	}[word]
	return kind, ok
}

// peers resolves a peer list. It is not ok when a mistake was reported.
func (c *checker) peers(n *lang.Peers, annotations []*lang.Annotation) (program.Peers, bool) {
	var out program.Peers
	ok := true
	for _, p := range n.Include {
		ps, good := c.peer(p, annotations)
		ok = ok && good
		out.Include = append(out.Include, ps...)
	}
	for _, p := range n.Except {
		ps, good := c.peer(p, annotations)
		ok = ok && good
		out.Except = append(out.Except, ps...)
		ok = c.takes(out.Include, ps, p) && ok
	}
	if !ok {
		return out, false
	}
	if reason := c.emptyPeers(out); reason != "" {
		c.errorAt(diag.Empty, n.Span(), reason, "")
		return out, false
	}
	return out, true
}

// peer resolves one term; a name of cidrs or domains gives several.
func (c *checker) peer(n *lang.Peer, annotations []*lang.Annotation) ([]program.Peer, bool) {
	if n.Selector != nil {
		sel, _ := c.selector(n.Selector)
		return []program.Peer{{Kind: program.PeerSelector, Selector: sel}}, sel != nil
	}
	t := *n.Item
	if kind, ok := builtin(t.Value); ok {
		return []program.Peer{{Kind: kind}}, true
	}
	switch {
	case lang.IsAddress(t):
		p, err := lang.ParsePrefix(t.Value)
		return []program.Peer{{Kind: program.PeerPrefix, Prefix: p}}, err == nil
	case lang.IsString(t):
		p, ok := c.pattern(t, annotations)
		return []program.Peer{{Kind: program.PeerDomain, Domain: &program.Domain{Patterns: []program.NamePattern{p}}}}, ok
	}
	return c.namedPeer(t)
}

func (c *checker) namedPeer(t lang.Token) ([]program.Peer, bool) {
	sym := c.use(c.sets, t, "workload", "cidrs", "domains")
	if sym == nil {
		return nil, false
	}
	var out []program.Peer
	switch sym.kind {
	case "workload":
		out = append(out, program.Peer{Kind: program.PeerSelector, Selector: sym.selector})
	case "cidrs":
		for _, p := range sym.prefixes {
			out = append(out, program.Peer{Kind: program.PeerPrefix, Prefix: p})
		}
	case "domains":
		for _, d := range sym.domains {
			out = append(out, program.Peer{Kind: program.PeerDomain, Domain: &d})
		}
	}
	return out, true
}

// takes reports whether each of except may be taken from each of include.
func (c *checker) takes(include, except []program.Peer, n *lang.Peer) bool {
	for _, e := range except {
		for _, i := range include {
			if !takeable(i.Kind, e.Kind) {
				c.errorAt(diag.ExceptKind, n.Span(), fmt.Sprintf("%s cannot be taken from %s", noun(e.Kind), noun(i.Kind)),
					"from any take all but domains, from workloads workloads, from world, internet and prefixes prefixes and internet, from domains domains")
				return false
			}
		}
	}
	return true
}

func noun(k program.PeerKind) string {
	switch k {
	case program.PeerSelector:
		return "some workloads"
	case program.PeerPrefix:
		return "a prefix"
	case program.PeerDomain:
		return "a domain"
	}
	return "`" + k.String() + "`"
}

func takeable(from, what program.PeerKind) bool {
	switch from {
	case program.PeerAny:
		return what != program.PeerDomain
	case program.PeerWorkloads, program.PeerSelector:
		return what == program.PeerWorkloads || what == program.PeerSelector
	case program.PeerWorld, program.PeerInternet, program.PeerPrefix:
		return what == program.PeerPrefix || what == program.PeerInternet
	case program.PeerDomain:
		return what == program.PeerDomain
	}
	return false
}

// emptyPeers says why a list holds nobody, as far as that does not depend on an inventory.
func (c *checker) emptyPeers(p program.Peers) string {
	const reason = "the except takes everything away"
	if len(p.Except) == 0 {
		return ""
	}
	kind := func(k program.PeerKind) func(program.Peer) bool {
		return func(q program.Peer) bool { return q.Kind == k }
	}
	switch p.Include[0].Kind {
	case program.PeerAny:
		all := slices.ContainsFunc(p.Except, kind(program.PeerWorld)) && slices.ContainsFunc(p.Except, kind(program.PeerHost)) && slices.ContainsFunc(p.Except, kind(program.PeerWorkloads))
		if all || slices.ContainsFunc(p.Except, kind(program.PeerAny)) {
			return reason
		}
	case program.PeerWorkloads, program.PeerSelector:
		if slices.ContainsFunc(p.Except, kind(program.PeerWorkloads)) {
			return reason
		}
		in, out := selectorOf(p.Include), selectorOf(p.Except)
		left := &program.Selector{Op: program.OpAnd, Args: []*program.Selector{in, not(out)}}
		if !satisfiable(left, nodes(left)) {
			return reason
		}
	case program.PeerPrefix, program.PeerWorld, program.PeerInternet:
		if len(c.addresses(p)) == 0 {
			return reason
		}
	case program.PeerDomain:
		for _, i := range p.Include {
			if i.Kind != program.PeerDomain || !slices.ContainsFunc(p.Except, func(e program.Peer) bool { return sameDomain(i.Domain, e.Domain) }) {
				return ""
			}
		}
		return reason
	}
	return ""
}

func sameDomain(a, b *program.Domain) bool {
	return slices.Equal(a.Patterns, b.Patterns) && slices.Equal(a.Except, b.Except)
}

// selectorOf joins peers that are workloads; all workloads hold for any labels.
func selectorOf(ps []program.Peer) *program.Selector {
	or := &program.Selector{Op: program.OpOr}
	for _, p := range ps {
		s := p.Selector
		if p.Kind == program.PeerWorkloads {
			s = &program.Selector{Op: program.OpAnd}
		}
		or.Args = append(or.Args, s)
	}
	return or
}

func nodes(s *program.Selector) int {
	n := 1
	for _, a := range s.Args {
		n += nodes(a)
	}
	return n
}

// addresses returns what peers cover by address of what no workload and no node owns. Workloads
// cover none of it and domains are no addresses.
func (c *checker) addresses(p program.Peers) prefixes {
	return c.cover(p.Include).minus(c.cover(p.Except))
}

func (c *checker) cover(ps []program.Peer) prefixes {
	var out []netip.Prefix
	for _, p := range ps {
		switch p.Kind {
		case program.PeerAny, program.PeerWorld:
			out = append(out, everything()...)
		case program.PeerInternet:
			out = append(out, c.public...)
		case program.PeerPrefix:
			out = append(out, p.Prefix)
		}
	}
	return union(out)
}

// public is what internet covers of world.
func public() prefixes { return everything().minus(union(program.SpecialPurpose())) }

// whole reports whether peers cover a family's whole public space.
func (c *checker) whole(p program.Peers) (v4, v6 bool) {
	left := c.public.minus(c.addresses(p))
	is4 := func(q netip.Prefix) bool { return q.Addr().Is4() }
	is6 := func(q netip.Prefix) bool { return q.Addr().Is6() }
	return !slices.ContainsFunc(left, is4), !slices.ContainsFunc(left, is6)
}
