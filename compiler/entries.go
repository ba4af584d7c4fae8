// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"slices"

	"mpol/compiler/program"
)

// noProto stands for a protocol that no rule names.
const noProto = 0

// term is a rule as far as it speaks of a class: implied terms are the questions of domain peers.
type term struct {
	*scopeRule
	implied bool
}

// terms returns what the rules say of a class.
func (s *scope) terms(cl *class) []term {
	var ts []term
	for _, r := range s.rules {
		if static(r, cl) || named(r, cl) {
			ts = append(ts, term{scopeRule: r})
		}
		if implied(r, cl) {
			ts = append(ts, term{r, true})
		}
	}
	return ts
}

// l4 returns what t covers.
func (t term) l4() []program.L4 {
	if t.implied {
		return []program.L4{
			{Proto: program.ProtoUDP, First: portDNS, Last: portDNS},
			{Proto: program.ProtoTCP, First: portDNS, Last: portDNS},
		}
	}
	return t.L4
}

func (t term) contains(proto uint8, port uint16) bool {
	return slices.ContainsFunc(t.l4(), func(l program.L4) bool { return l.Contains(proto, port) })
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
	decide := func(proto uint8, port uint16) program.Verdict { return s.verdict(cl, ts, proto, port) }
	rest := decide(noProto, 0)
	out := []program.Entry{{Last: 0xffff, Verdict: rest}}
	for _, proto := range s.protocols(ts) {
		segments := s.segments(ts, proto, decide)
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
		for _, l := range t.l4() {
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
func (s *scope) segments(ts []term, proto uint8, decide func(uint8, uint16) program.Verdict) []segment {
	starts := []int{0}
	cut := func(first, last uint16) { starts = append(starts, int(first), int(last)+1) }
	for _, t := range ts {
		for _, l := range t.l4() {
			if !l.Any && l.Proto == proto {
				cut(l.First, l.Last)
			}
		}
	}
	if s.proxied {
		cut(portDNS, portDNS)
	}
	slices.Sort(starts)
	starts = append(slices.Compact(starts), 0x10000)
	var out []segment
	for i, start := range starts {
		if start > 0xffff {
			break
		}
		g := segment{uint16(start), uint16(starts[i+1] - 1), decide(proto, uint16(start))}
		if n := len(out); n > 0 && out[n-1].verdict == g.verdict {
			out[n-1].last = g.last
			continue
		}
		out = append(out, g)
	}
	return out
}

// widest returns the verdict with the most segments; of several rest if it is one, else the first.
func widest(segments []segment, rest program.Verdict) program.Verdict {
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

// verdict dissolves the tiers for one protocol and port.
func (s *scope) verdict(cl *class, ts []term, proto uint8, port uint16) program.Verdict {
	var covering []term
	kinds := make(map[program.L7Kind]bool)
	for _, t := range ts {
		if !t.contains(proto, port) {
			continue
		}
		covering = append(covering, t)
		if t.L7 != nil && !t.implied {
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
