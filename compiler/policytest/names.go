// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// DNS types, and the port of questions.
const (
	portDNS   = 53
	typeA     = 1
	typeTXT   = 16
	typeAAAA  = 28
	typeSVCB  = 64
	typeHTTPS = 65
)

func typeOf(a netip.Addr) uint16 {
	if a.Is4() {
		return typeA
	}
	return typeAAAA
}

// server is where questions may be asked.
type server struct {
	end   verdict.End
	proto uint8
	port  uint16
}

// servers returns the resolvers in force: those of the configuration and those that rules name. A
// resolver that is a workload is whichever party of the test rules believe.
func (w *world) servers(inv *program.Inventory) []server {
	var out []server
	for _, a := range inv.Resolvers {
		out = append(out, server{verdict.End{Addr: a}, program.ProtoUDP, portDNS})
	}
	for _, r := range w.resolvers {
		var ends []verdict.End
		for _, p := range r.Peers.Include {
			switch p.Kind {
			case program.PeerPrefix:
				a := p.Prefix.Addr()
				if !p.Prefix.IsSingleIP() {
					a = a.Next()
				}
				ends = append(ends, verdict.End{Addr: a})
			case program.PeerHost:
				for _, a := range inv.Node {
					ends = append(ends, verdict.End{Addr: a})
				}
			default:
				for i := range inv.Workloads {
					for _, a := range inv.Workloads[i].Addresses {
						ends = append(ends, verdict.End{Workload: inv.Workloads[i].Name, Addr: a})
					}
				}
			}
		}
		for _, e := range ends {
			for _, l := range r.L4 {
				out = append(out, server{e, l.Proto, l.First})
			}
		}
	}
	return out
}

// ask judges the question for a name by each resolver in force that the asker can reach by its
// address.
func (w *world) ask(judge *verdict.Evaluator, from place, name program.Name, typ uint16) []tried {
	var all []tried
	for _, s := range w.servers(&judge.Rules().Inventory) {
		if s.end.Addr.Is4() != from.end.Addr.Is4() || s.end.Addr == from.end.Addr {
			continue
		}
		t := tried{judge: judge, from: from, flow: verdict.Flow{
			From: from.end, To: s.end, Proto: s.proto, Port: s.port, Question: &verdict.Question{Name: name, Type: typ},
		}}
		t.verdict = judge.Decide(t.flow)
		all = append(all, t)
	}
	return all
}

// answered returns those that are answered.
func answered(all []tried) []tried {
	return slices.DeleteFunc(slices.Clone(all), func(t tried) bool { return t.verdict.Action == verdict.Deny })
}

// learned returns the answers with an address that a workload has looked up.
func (w *world) learned(judge *verdict.Evaluator, from place, a netip.Addr) []verdict.Answer {
	if from.end.Workload == "" && !from.host {
		return nil
	}
	var out []verdict.Answer
	for _, given := range w.test.Answers {
		if !slices.Contains(given.Addresses, a) {
			continue
		}
		for _, t := range answered(w.ask(judge, from, given.Name, typeOf(a))) {
			answer := verdict.Answer{Name: given.Name, Server: t.flow.To}
			if given.Via != nil {
				answer.Via = []program.Name{given.Via}
			}
			out = append(out, answer)
		}
	}
	return out
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
	return w.result(l, all)
}

// unanswered judges a name for which the test gives no answer: nothing is open if no question for it
// is allowed, else the line hangs on the answer.
func (w *world) unanswered(l *check.Assertion, to check.End) Result {
	var all []tried
	for _, from := range w.places(l.From, w.from) {
		for _, typ := range []uint16{typeA, typeAAAA} {
			asked := w.ask(w.with(from, place{}), from, to.Name, typ)
			if len(answered(asked)) > 0 {
				return w.unsure(l, "no answer is given for "+to.Name.String(), `state it: given dns "`+to.Name.String()+`" = ADDRESS`)
			}
			all = append(all, asked...)
		}
	}
	if len(all) == 0 {
		return w.unsure(l, "the client has no address of the family of a resolver", "give it an address of IPv4 or of IPv6")
	}
	return w.result(l, all)
}

// namedAt judges the way to one address of a name, from every place of the client.
func (w *world) namedAt(l *check.Assertion, to check.End, a netip.Addr, proto uint8, port uint16) ([]tried, *Result) {
	var all []tried
	there := place{end: verdict.End{Addr: a}}
	for _, from := range w.places(l.From, w.from) {
		if !fits(from, there, proto) {
			continue
		}
		t, err := w.namedFrom(l, to, from, there, proto, port)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		if w.holds(l, t) != w.holds(l, all[0]) && from.open {
			r := w.unsure(l, "the verdict depends on the address of "+openEnd(l, to, t), "state it: `given NAME = { ... } at ADDRESS`")
			return nil, &r
		}
	}
	return all, nil
}

// namedFrom judges the question and, if some resolver may be asked it, the flow.
func (w *world) namedFrom(l *check.Assertion, to check.End, from, there place, proto uint8, port uint16) (tried, *Result) {
	questions := w.ask(w.with(from, place{}), from, to.Name, typeOf(there.end.Addr))
	allowed := answered(questions)
	if len(questions) > 0 && len(allowed) == 0 {
		return questions[0], nil
	}
	t, err := w.try(l, from, there, proto, port)
	for _, q := range allowed {
		t.asked = append(t.asked, q.verdict)
	}
	return t, err
}
