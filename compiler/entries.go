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

// entries lowers one class. A protocol gets entries of its own when its verdict is not that of
// every protocol; its wide entry has the verdict that most of its pieces have.
func (s *scope) entries(number int) []program.Entry {
	ts := s.terms(&s.classes[number])
	rest := s.verdict(ts, noProto, 0)
	out := []program.Entry{{Class: number, Last: 0xffff, Verdict: rest}}
	for _, proto := range s.protocols(ts) {
		segments := s.segments(ts, proto)
		wide := widest(segments, rest)
		if len(segments) == 1 && wide == rest {
			continue
		}
		out = append(out, program.Entry{Class: number, Proto: proto, Last: 0xffff, Verdict: wide})
		for _, g := range segments {
			if g.verdict != wide {
				out = append(out, program.Entry{Class: number, Proto: proto, First: g.first, Last: g.last, Verdict: g.verdict})
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
func (s *scope) segments(ts []term, proto uint8) []segment {
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
		g := segment{uint16(start), uint16(starts[i+1] - 1), s.verdict(ts, proto, uint16(start))}
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
func (s *scope) verdict(ts []term, proto uint8, port uint16) program.Verdict {
	v := s.fallback
	kinds := make(map[program.L7Kind]bool)
	for _, t := range ts {
		if !t.contains(proto, port) {
			continue
		}
		if t.L7 != nil && !t.implied {
			kinds[t.L7.Kind] = true
		}
		if t.Action == program.Deny && t.L7 != nil {
			continue
		}
		w := program.Verdict{
			Allow: t.Action == program.Allow, Rank: uint8(t.tier*ranksATier + rankDeny), Order: uint16(t.order),
			Log: t.Log, Reject: t.Reject, Rule: t.ID,
		}
		if w.Allow {
			w.Rank += rankAllow
		}
		if before(w, v) {
			v = w
		}
	}
	if s.proxied && v.Allow && port == portDNS && (proto == program.ProtoUDP || proto == program.ProtoTCP) {
		kinds[program.L7DNS] = true
	}
	for k := range kinds {
		v.L7 = k // of two kinds the entry denies: what is set is of no consequence
	}
	if len(kinds) > 1 {
		v.Allow, v.L7 = false, program.L7None
	}
	return v
}

// before reports whether a wins over b.
func before(a, b program.Verdict) bool {
	return a.Rank < b.Rank || a.Rank == b.Rank && a.Order < b.Order
}
