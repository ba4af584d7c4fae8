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
// resolver that is a workload is whichever parties of the test meet its selector.
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
			case program.PeerSelector:
				for i := range inv.Workloads {
					if !Meets(p.Selector, &inv.Workloads[i]) {
						continue
					}
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

// query is a question as one client puts it to every resolver in force.
type query struct {
	judge *verdict.Evaluator
	from  place
	name  string
	typ   uint16
}

// ask judges the question for a name by each resolver in force that the asker can reach by its
// address.
func (w *world) ask(judge *verdict.Evaluator, from place, name program.Name, typ uint16) []tried {
	key := query{judge, from, name.String(), typ}
	if all, known := w.asked[key]; known {
		return all
	}
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
	w.asked[key] = all
	return all
}

// answered returns those that are answered.
func answered(all []tried) []tried {
	return slices.DeleteFunc(slices.Clone(all), func(t tried) bool { return t.verdict.Action == verdict.Deny })
}

// givenAnswers are the answers of a test, in file order by address and the first by name.
type givenAnswers struct {
	at map[netip.Addr][]*check.Answer
	of map[string]*check.Answer
}

func newGivenAnswers(as []check.Answer) givenAnswers {
	g := givenAnswers{make(map[netip.Addr][]*check.Answer), make(map[string]*check.Answer)}
	for i := range as {
		a := &as[i]
		if name := a.Name.String(); g.of[name] == nil {
			g.of[name] = a
		}
		for _, addr := range a.Addresses {
			g.at[addr] = append(g.at[addr], a)
		}
	}
	return g
}

// arrival is an address as one client knows it.
type arrival struct {
	judge *verdict.Evaluator
	from  place
	addr  netip.Addr
}

// learned returns the answers with an address that a workload has looked up.
func (w *world) learned(judge *verdict.Evaluator, from place, a netip.Addr) []verdict.Answer {
	if from.end.Workload == "" && !from.host {
		return nil
	}
	key := arrival{judge, from, a}
	if out, known := w.answers[key]; known {
		return out
	}
	var out []verdict.Answer
	for _, given := range w.given.at[a] {
		for _, t := range answered(w.ask(judge, from, given.Name, typeOf(a))) {
			answer := verdict.Answer{Name: given.Name, Server: t.flow.To}
			if given.Via != nil {
				answer.Via = []program.Name{given.Via}
			}
			out = append(out, answer)
		}
	}
	w.answers[key] = out
	return out
}

// named judges a name as destination: the question, then every address given for the name. An allow
// needs all of them; a deny a refused question, or no address that is open.
func (w *world) named(l *check.Assertion, to check.End, proto uint8, port uint16) Result {
	given := w.given.of[to.Name.String()]
	if given == nil {
		return w.unanswered(l, to)
	}
	var all ways
	for _, a := range given.Addresses {
		if err := w.namedAt(l, to, a, proto, port, &all); err != nil {
			return *err
		}
	}
	if all.n == 0 {
		return w.unsure(l, "the client has no address of the family of the answer", "give it an address of IPv4 or of IPv6")
	}
	return w.result(l, &all)
}

// unanswered judges a name for which the test gives no answer: nothing is open if no question for it
// is allowed, else the line hangs on the answer.
func (w *world) unanswered(l *check.Assertion, to check.End) Result {
	var all ways
	for _, from := range w.places(l.From, w.scope(l.From, to).from) {
		for _, typ := range []uint16{typeA, typeAAAA} {
			asked := w.ask(w.with(from, place{}), from, to.Name, typ)
			if len(answered(asked)) > 0 {
				return w.unsure(l, "no answer is given for "+to.Name.String(), `state it: given dns "`+to.Name.String()+`" = ADDRESS`)
			}
			for _, t := range asked {
				w.add(l, t, &all)
			}
		}
	}
	if all.n == 0 {
		return w.unsure(l, "the client has no address of the family of a resolver", "give it an address of IPv4 or of IPv6")
	}
	return w.result(l, &all)
}

// namedAt judges the way to one address of a name, from every place of the client.
func (w *world) namedAt(l *check.Assertion, to check.End, a netip.Addr, proto uint8, port uint16, all *ways) *Result {
	there := place{end: verdict.End{Addr: a}}
	var here ways
	for _, from := range w.places(l.From, w.scope(l.From, to).from) {
		if !fits(from, there, proto) {
			continue
		}
		t, err := w.namedFrom(l, to, from, there, proto, port)
		if err != nil {
			return err
		}
		w.add(l, t, &here, all)
	}
	return w.open(l, to, &here)
}

// namedFrom judges the question and, if some resolver may be asked it, the flow.
func (w *world) namedFrom(l *check.Assertion, to check.End, from, there place, proto uint8, port uint16) (tried, *Result) {
	questions := w.ask(w.with(from, place{}), from, to.Name, typeOf(there.end.Addr))
	allowed := answered(questions)
	if len(questions) > 0 && len(allowed) == 0 {
		return questions[0], nil
	}
	return w.try(l, to, tried{judge: w.with(from, there), from: from, to: there, asked: allowed}, proto, port)
}
