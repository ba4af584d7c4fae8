// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// DNS types, and the port of questions.
const (
	portDNS  = 53
	typeA    = 1
	typeTXT  = 16
	typeAAAA = 28
)

func typeOf(a netip.Addr) uint16 {
	if a.Is4() {
		return typeA
	}
	return typeAAAA
}

// ask judges the question for a name by the resolver of the asker's family.
func (w *world) ask(rules *program.Rules, from place, name program.Name, typ uint16) tried {
	t := tried{rules: rules, from: from}
	for _, r := range w.resolvers {
		if r.Is4() == from.end.Addr.Is4() {
			t.flow = verdict.Flow{
				From: from.end, To: verdict.End{Addr: r}, Proto: program.ProtoUDP, Port: portDNS,
				Question: &verdict.Question{Name: name, Type: typ},
			}
			t.verdict = verdict.Decide(rules, t.flow)
		}
	}
	return t
}

// learned returns the names under which a workload has looked an address up.
func (w *world) learned(rules *program.Rules, from place, a netip.Addr) []program.Name {
	if from.end.Workload == "" {
		return nil
	}
	var names []program.Name
	for _, given := range w.test.Answers {
		if slices.Contains(given.Addresses, a) && w.ask(rules, from, given.Name, typeOf(a)).verdict.Action == verdict.Allow {
			names = append(names, given.Name)
		}
	}
	return names
}

// named judges a name as destination: the question, then every address given for the name. An allow
// needs all of them; a deny a refused question, or no address that is open.
func (w *world) named(l *check.Assertion, to check.End, proto uint8, port uint16) Result {
	i := slices.IndexFunc(w.test.Answers, func(a check.Answer) bool { return slices.Equal(a.Name, to.Name) })
	if i < 0 {
		return w.unanswered(l, to)
	}
	var all []tried
	for _, a := range w.test.Answers[i].Addresses {
		one, err := w.namedAt(l, to, a, proto, port)
		if err != nil {
			return *err
		}
		all = append(all, one...)
	}
	if len(all) == 0 {
		return w.unsure(l, "the client has no address of the family of the answer", "give it an address of IPv4 or of IPv6")
	}
	return w.judge(l, all)
}

// unanswered judges a name for which the test gives no answer: nothing is open if no question for it
// is allowed, else the line hangs on the answer.
func (w *world) unanswered(l *check.Assertion, to check.End) Result {
	var all []tried
	for _, from := range w.places(l.From, w.from) {
		rules := w.with(from)
		for _, typ := range []uint16{typeA, typeAAAA} {
			t := w.ask(rules, from, to.Name, typ)
			if t.verdict.Action != verdict.Deny {
				return w.unsure(l, "no answer is given for "+to.Name.String(), `state it: given dns "`+to.Name.String()+`" = ADDRESS`)
			}
			all = append(all, t)
		}
	}
	return w.judge(l, all)
}

// namedAt judges the way to one address of a name, from every place of the client.
func (w *world) namedAt(l *check.Assertion, to check.End, a netip.Addr, proto uint8, port uint16) ([]tried, *Result) {
	var all []tried
	for _, from := range w.places(l.From, w.from) {
		if from.end.Addr.Is4() != a.Is4() || from.end.Addr == a {
			continue
		}
		rules := w.with(from)
		t := w.ask(rules, from, to.Name, typeOf(a))
		if t.verdict.Action != verdict.Deny {
			var err *Result
			if t, err = w.try(l, from, place{end: verdict.End{Addr: a}}, proto, port); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
		if w.holds(l, t) != w.holds(l, all[0]) && from.open {
			r := w.unsure(l, "the verdict depends on the address of "+l.From.Party, "state it: `given NAME = { ... } at ADDRESS`")
			return nil, &r
		}
	}
	return all, nil
}

// everyQuestion judges a flow of questions without one: it stands for every question. It asks one
// name of every pattern of the rules, and one of none, for an address and for another type.
func (w *world) everyQuestion(l *check.Assertion, t tried, f verdict.Flow) (tried, *Result) {
	first := true
	for _, name := range w.questionNames() {
		for _, typ := range []uint16{typeA, typeTXT} {
			f.Question = &verdict.Question{Name: name, Type: typ}
			v := verdict.Decide(t.rules, f)
			if !first && (v.Action == verdict.Deny) != (t.verdict.Action == verdict.Deny) {
				r := w.unsure(l, "the verdict depends on the question", "write the name as the destination")
				return t, &r
			}
			if first {
				t.verdict, first = v, false
			}
		}
	}
	return t, nil
}

// questionNames returns a name for every pattern that may tell questions apart, and one for none.
func (w *world) questionNames() []program.Name {
	names := []program.Name{program.ParseName("name-that-no-rule-names.invalid")}
	add := func(ps []program.NamePattern) {
		for _, p := range ps {
			text := strings.ReplaceAll(string(p), "**", "x.x")
			names = append(names, program.ParseName(strings.ReplaceAll(text, "*", "x")))
		}
	}
	for i := range w.rules.Policies {
		b := w.rules.Policies[i].Egress
		if b == nil {
			continue
		}
		for _, r := range b.Rules {
			for _, p := range r.Peers.Include {
				if p.Kind == program.PeerDomain {
					add(p.Domain.Patterns)
					add(p.Domain.Except)
				}
			}
			if r.L7 != nil {
				add(r.L7.DNS)
			}
		}
	}
	return names
}
