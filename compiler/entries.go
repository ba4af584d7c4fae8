// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"slices"

	"mpol/compiler/program"
)

// noProto stands for a protocol that no rule names.
const noProto = 0

// term is a rule as far as it speaks of a class, at its own ports or, implied by its domain peers, at
// those of a resolver.
type term struct {
	*scopeRule
	l4      []program.L4
	implied bool
}

// terms returns what the rules say of a class.
func (s *scope) terms(cl *class) []term {
	var ts []term
	for _, r := range s.rules {
		if static(r, cl) || named(r, cl) {
			ts = append(ts, term{scopeRule: r, l4: r.L4})
		}
		for i := range r.resolvers {
			if v := &r.resolvers[i]; holds(v.list, cl) {
				ts = append(ts, term{r, v.l4, true})
			}
		}
	}
	return ts
}

// segment is a range of ports of one protocol with one verdict.
type segment struct {
	first, last uint16
	verdict     program.Verdict
}

// entries lowers a class. A protocol gets entries of its own when its verdict is not that of
// every protocol; its wide entry has the verdict that most of its pieces have.
func (s *scope) entries(cl *class) []program.Entry {
	ts := s.terms(cl)
	rest := s.segments(cl, ts, noProto)[0].verdict
	out := []program.Entry{{Last: 0xffff, Verdict: rest}}
	for _, proto := range s.protocols(ts) {
		segments := s.segments(cl, ts, proto)
		wide := widest(segments, rest)
		if len(segments) == 1 && wide == rest {
			continue
		}
		out = append(out, program.Entry{Proto: proto, Last: 0xffff, Verdict: wide})
		for _, g := range segments {
			if g.verdict != wide {
				out = append(out, program.Entry{Proto: proto, First: g.first, Last: g.last, Verdict: g.verdict})
			}
		}
	}
	slices.SortFunc(out, func(a, b program.Entry) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.First, b.First), cmp.Compare(b.Last, a.Last))
	})
	return out
}

// protocols are those that the terms, or the DNS proxy, tell from others.
func (s *scope) protocols(ts []term) []uint8 {
	var ps []uint8
	for _, t := range ts {
		for _, l := range t.l4 {
			if !l.Any {
				ps = append(ps, l.Proto)
			}
		}
	}
	if s.proxied {
		ps = append(ps, program.ProtoUDP, program.ProtoTCP)
	}
	slices.Sort(ps)
	return slices.Compact(ps)
}

// segments cuts the ports of a protocol where a verdict may change and joins equal neighbours.
func (s *scope) segments(cl *class, ts []term, proto uint8) []segment {
	edges := s.edges(ts, proto)
	depth := make([]int, len(ts)) // how many ranges of a term there are around
	var around []int              // terms with some, ascending
	var covering []term           // those
	var out []segment
	for edges[0].at <= 0xffff {
		start := edges[0].at
		for ; edges[0].at == start; edges = edges[1:] {
			around = edges[0].cross(depth, around)
		}
		covering = covering[:0]
		for _, i := range around {
			covering = append(covering, ts[i])
		}
		g := segment{uint16(start), uint16(edges[0].at - 1), s.verdict(cl, covering, proto, uint16(start))}
		if n := len(out); n > 0 && out[n-1].verdict == g.verdict {
			out[n-1].last = g.last
			continue
		}
		out = append(out, g)
	}
	return out
}

// edge is where ranges of ports of a term begin, or where they have ended.
type edge struct{ at, term, begin int }

// edges are those of some terms in the ports of a protocol, sorted, with the ends of all ports.
func (s *scope) edges(ts []term, proto uint8) []edge {
	edges := []edge{{at: 0}, {at: 0x10000}}
	for i, t := range ts {
		for _, l := range t.l4 {
			switch {
			case l.Any:
				edges = append(edges, edge{0, i, 1})
			case l.Proto == proto:
				edges = append(edges, edge{int(l.First), i, 1}, edge{int(l.Last) + 1, i, -1})
			}
		}
	}
	if s.proxied {
		edges = append(edges, edge{at: portDNS}, edge{at: portDNS + 1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	return edges
}

// cross brings the depths of terms, and which are not 0, from one side of e to the other.
func (e edge) cross(depth, around []int) []int {
	if e.begin == 0 {
		return around
	}
	before := depth[e.term]
	depth[e.term] += e.begin
	switch i, _ := slices.BinarySearch(around, e.term); {
	case before == 0:
		return slices.Insert(around, i, e.term)
	case depth[e.term] == 0:
		return slices.Delete(around, i, i+1)
	}
	return around
}

// widest returns the verdict with the most segments; of several rest if it is one, else the first.
func widest(segments []segment, rest program.Verdict) program.Verdict {
	if len(segments) == 1 {
		return segments[0].verdict
	}
	count := make(map[program.Verdict]int)
	for _, g := range segments {
		count[g.verdict]++
	}
	best := segments[0].verdict
	for _, g := range segments {
		if count[g.verdict] > count[best] || count[g.verdict] == count[best] && g.verdict == rest {
			best = g.verdict
		}
	}
	return best
}

// verdict dissolves the tiers for the terms that cover a protocol and port.
func (s *scope) verdict(cl *class, covering []term, proto uint8, port uint16) program.Verdict {
	kinds := make(map[program.L7Kind]bool)
	for _, t := range covering {
		switch {
		case t.implied:
			kinds[program.L7DNS] = true
		case t.L7 != nil:
			kinds[t.L7.Kind] = true
		}
	}
	v := s.walk(cl, covering)
	if s.proxied && v.Allow && port == portDNS && (proto == program.ProtoUDP || proto == program.ProtoTCP) {
		kinds[program.L7DNS] = true
	}
	for k := range kinds {
		v.L7 = k
	}
	if len(kinds) > 1 {
		v.Allow, v.L7 = false, program.L7Mixed
	}
	return v
}

// walk finds the verdict of the terms that cover a flow. What a name set says is asked together with
// a static class: it knows of no default but, where no rule passes, the one that every class shares.
func (s *scope) walk(cl *class, covering []term) program.Verdict {
	rest := s.end
	if cl.holds == nil && !s.passes() {
		rest = s.fallback()
	}
	for i := range s.tiers {
		t := &s.tiers[i]
		v, decides, passes := program.Verdict{}, false, false
		for _, r := range covering {
			switch {
			case r.tier != t.index, r.Action == program.Deny && r.L7 != nil:
			case r.Action == program.Pass:
				passes = true
			default:
				if w := r.verdict(); !decides || before(w, v) {
					v, decides = w, true
				}
			}
		}
		switch {
		case decides:
			return v
		case !passes && cl.holds != nil && t.defaults != program.Pass:
			return t.fallback()
		}
	}
	return rest
}

// verdict is what an allow or deny says of a flow that it covers.
func (t term) verdict() program.Verdict {
	v := program.Verdict{
		Allow: t.Action == program.Allow, Rank: uint8(t.tier*ranksATier + rankDeny), Order: uint16(t.order),
		Log: t.Log, Reject: t.Reject, Rule: t.key,
	}
	if v.Allow {
		v.Rank += rankAllow
	}
	return v
}

// before reports whether a wins over b.
func before(a, b program.Verdict) bool {
	return a.Rank < b.Rank || a.Rank == b.Rank && a.Order < b.Order
}
