// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"encoding/binary"
	"slices"

	"mpol/compiler/program"
)

// Types that a domain peer asks for, and the one for everything.
const (
	typeA, typeAAAA, typeSVCB, typeHTTPS = 1, 28, 64, 65
	typeANY                              = 255
)

func addressTypes() []uint16 { return []uint16{typeA, typeAAAA, typeSVCB, typeHTTPS} }

// questions lowers what s says of questions: its rules, the defaults of the tiers from which some pass
// on, and the end.
func (s *scope) questions() []program.Question {
	var qs []program.Question
	for _, r := range s.rules {
		if r.Action != program.Pass {
			qs = append(qs, s.namedQuestions(r)...)
			qs = append(qs, s.staticQuestions(r)...)
		}
	}
	end := s.fallback()
	if s.passes() {
		end = s.end
		for i := range s.tiers {
			qs = append(qs, s.defaultQuestions(&s.tiers[i])...)
		}
	}
	slices.SortStableFunc(qs, func(a, b program.Question) int {
		return cmp.Or(cmp.Compare(a.Verdict.Rank, b.Verdict.Rank), cmp.Compare(a.Verdict.Order, b.Verdict.Order))
	})
	return append(qs, byDefault(program.Question{Verdict: end})...)
}

// asked is what r says of a question that it speaks of.
func (r *scopeRule) asked() program.Verdict {
	v := term{scopeRule: r}.verdict()
	v.L7 = program.L7DNS
	return v
}

// namedQuestions are those for the names of r's domain peers: of an allow to its resolvers, of a deny
// to everybody. What an answer may open is no part of them.
func (s *scope) namedQuestions(r *scopeRule) []program.Question {
	var qs []program.Question
	for _, d := range domains(r.Rule) {
		d.Private, d.Aliases = nil, nil
		if r.Action == program.Deny {
			qs = append(qs, program.Question{Verdict: r.asked(), Domain: d})
			continue
		}
		for i := range r.resolvers {
			v := &r.resolvers[i]
			if classes, some := s.holding(v.list); some && v.believes(&d) {
				qs = append(qs, program.Question{
					Verdict: r.asked(), NameServer: program.NameServer{Classes: classes, For: v.about}, L4: v.l4,
					Domain: d, Types: addressTypes(),
				})
			}
		}
	}
	return qs
}

// staticQuestions are those to r's peers other than domains. What has to be of another kind is no
// question.
func (s *scope) staticQuestions(r *scopeRule) []program.Question {
	classes, some := s.holding(r.list)
	l4, asks := s.asked(r.L4)
	if !some || !asks || r.L7 != nil && r.L7.Kind != program.L7DNS {
		return nil
	}
	q := program.Question{Verdict: r.asked(), NameServer: program.NameServer{Classes: classes}, L4: l4, Any: true}
	if r.L7 != nil {
		q.Any, q.Domain, q.Types = false, program.Domain{Patterns: r.L7.DNS}, r.L7.Types
		if q.Verdict.Allow && len(q.Types) == 0 {
			q.Types = addressTypes()
		}
	}
	return []program.Question{q}
}

// defaultQuestions are the default of a tier, for the questions that no rule of it passes on.
func (s *scope) defaultQuestions(t *scopeTier) []program.Question {
	if t.defaults == program.Pass {
		return nil
	}
	var qs []program.Question
	at := make(map[string]int) // by classes
	for _, l := range s.pieces(t) {
		classes := s.staying(t, l)
		if len(classes) == 0 {
			continue
		}
		var key []byte
		for _, c := range classes {
			key = binary.AppendUvarint(key, uint64(c))
		}
		i, known := at[string(key)]
		if !known {
			i = len(qs)
			at[string(key)] = i
			qs = append(qs, program.Question{Verdict: t.fallback(), NameServer: program.NameServer{Classes: s.unlessAll(classes)}})
		}
		qs[i].L4 = appendL4(qs[i].L4, l)
	}
	var out []program.Question
	for _, q := range qs {
		out = append(out, byDefault(q)...)
	}
	return out
}

// pieces cuts the ports at which questions are judged where a rule of t that passes on begins or ends.
func (s *scope) pieces(t *scopeTier) []program.L4 {
	var out []program.L4
	for _, proto := range []uint8{program.ProtoTCP, program.ProtoUDP} {
		starts := []int{0, 0x10000}
		cut := func(l4 []program.L4) {
			for _, l := range l4 {
				if l.Proto == proto && !l.Any {
					starts = append(starts, int(l.First), int(l.Last)+1)
				}
			}
		}
		cut(s.asking)
		for _, r := range t.rules {
			if r.Action == program.Pass {
				cut(r.L4)
			}
		}
		slices.Sort(starts)
		starts = slices.Compact(starts)
		for i, start := range starts[:len(starts)-1] {
			if containsPort(s.asking, proto, uint16(start)) {
				out = append(out, program.L4{Proto: proto, First: uint16(start), Last: uint16(starts[i+1] - 1)})
			}
		}
	}
	return out
}

// staying returns the classes for which no rule of t passes a piece on.
func (s *scope) staying(t *scopeTier, l program.L4) []int {
	var classes []int
	for i := range s.classes[:s.names] {
		if !slices.ContainsFunc(t.rules, func(r *scopeRule) bool {
			return r.Action == program.Pass && containsPort(r.L4, l.Proto, l.First) && static(r, &s.classes[i])
		}) {
			classes = append(classes, i)
		}
	}
	return classes
}

// byDefault makes q that of a default, for every name: none lets a question for everything pass.
func byDefault(q program.Question) []program.Question {
	q.Any, q.Verdict.L7 = true, program.L7DNS
	if !q.Verdict.Allow {
		return []program.Question{q}
	}
	every := q
	every.Verdict.Allow, every.Types = false, []uint16{typeANY}
	return []program.Question{every, q}
}

// holding returns the static classes for which a list holds, none where it is all, and whether there is
// one.
func (s *scope) holding(list int) (classes []int, some bool) {
	for i := range s.classes[:s.names] {
		if holds(list, &s.classes[i]) {
			classes = append(classes, i)
		}
	}
	return s.unlessAll(classes), len(classes) > 0
}

// unlessAll returns classes, none where they are all that are static.
func (s *scope) unlessAll(classes []int) []int {
	if len(classes) == s.names {
		return nil
	}
	return classes
}

// asked returns those of some protocols and ports at which questions are judged, none for everything,
// and whether there is one.
func (s *scope) asked(l4 []program.L4) (out []program.L4, some bool) {
	for _, l := range l4 {
		if l.Any {
			return nil, true
		}
		if slices.ContainsFunc(s.asking, func(a program.L4) bool {
			return a.Proto == l.Proto && a.First <= l.Last && l.First <= a.Last
		}) {
			out = append(out, l)
		}
	}
	return out, len(out) > 0
}

// appendL4 adds l, which is joined with the last where it follows it.
func appendL4(l4 []program.L4, l program.L4) []program.L4 {
	if n := len(l4); n > 0 && l4[n-1].Proto == l.Proto && int(l4[n-1].Last)+1 == int(l.First) {
		l4[n-1].Last = l.Last
		return l4
	}
	return append(l4, l)
}

func containsPort(l4 []program.L4, proto uint8, port uint16) bool {
	return slices.ContainsFunc(l4, func(l program.L4) bool { return l.Contains(proto, port) })
}
