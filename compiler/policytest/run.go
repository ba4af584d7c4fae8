// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// Options of Run. The zero value runs every test.
type Options struct {
	// Name runs only the tests whose name contains it.
	Name string
}

// Run judges the lines of the module's tests, in file order. The module has no errors.
func Run(m *check.Module, opt Options) []Result {
	var results []Result
	s := New(m)
	for _, t := range m.Tests {
		if strings.Contains(t.Name, opt.Name) {
			results = append(results, s.Run(t)...)
		}
	}
	return results
}

// Run judges the lines of one test of the module, in file order. Of a todo test, too, it says what
// became of each.
func (s *Suite) Run(t *check.Test) []Result {
	w := s.world(t)
	results := make([]Result, len(t.Lines))
	for i := range t.Lines {
		results[i] = w.line(&t.Lines[i])
	}
	return results
}

// line judges one line: each destination at each port.
func (w *world) line(l *check.Assertion) Result {
	r := Result{Test: w.test.Name, Status: Pass, Span: l.Span}
	first := true
	for _, to := range l.To {
		for _, l4 := range w.protocols(l.L4) {
			for _, port := range w.ports(l4) {
				one := w.flows(l, to, l4.Proto, port)
				if one.Status == Error || one.Status < r.Status || first {
					r, first = one, false
				}
				if r.Status == Error {
					return r
				}
			}
		}
	}
	return r
}

// unnamed is a protocol that stands for those that no rule names: one for experiments (RFC 3692).
const unnamed = 253

// protocols returns l4s with each "any" as the protocols that rules may tell apart.
func (w *world) protocols(l4s []program.L4) []program.L4 {
	var out []program.L4
	for _, l := range l4s {
		if !l.Any {
			out = append(out, l)
			continue
		}
		protos := []uint8{program.ProtoTCP, program.ProtoUDP, program.ProtoICMP, program.ProtoICMPv6, unnamed}
		each(w.judge.Rules(), func(r *program.Rule) {
			for _, l := range r.L4 {
				if !l.Any {
					protos = append(protos, l.Proto)
				}
			}
		})
		slices.Sort(protos)
		for _, p := range slices.Compact(protos) {
			out = append(out, program.L4{Proto: p, Last: 0xffff})
		}
	}
	return out
}

// ports returns the first port of l and every other at which what the rules say may change: the
// ports between are alike.
func (w *world) ports(l program.L4) []uint16 {
	ports := []uint16{l.First}
	if l.First == l.Last {
		return ports
	}
	add := func(p int) {
		if p > int(l.First) && p <= int(l.Last) {
			ports = append(ports, uint16(p))
		}
	}
	cut := func(x program.L4) {
		if x.Proto == l.Proto && !x.Any {
			add(int(x.First))
			add(int(x.Last) + 1)
		}
	}
	add(portDNS)
	add(portDNS + 1)
	each(w.judge.Rules(), func(r *program.Rule) {
		for _, x := range r.L4 {
			cut(x)
		}
	})
	for _, r := range w.resolvers {
		for _, x := range r.L4 {
			cut(x)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func (w *world) unsure(l *check.Assertion, summary, help string) Result {
	return Result{Test: w.test.Name, Status: Error, Span: l.Span, Summary: summary, Help: help}
}

// tried is one verdict that a line may mean.
type tried struct {
	judge    *verdict.Evaluator
	from, to place
	flow     verdict.Flow // as far as it was judged
	verdict  verdict.Verdict
	asked    []verdict.Verdict // on the questions that led to the flow's address
}

// fits reports whether two places may have a flow of a protocol.
func fits(a, b place, proto uint8) bool {
	v4 := b.end.Addr.Is4()
	return a.end.Addr.Is4() == v4 && a.end.Addr != b.end.Addr &&
		(v4 || proto != program.ProtoICMP) && (!v4 || proto != program.ProtoICMPv6)
}

// flows judges one destination at one port, in every way that the line leaves open.
func (w *world) flows(l *check.Assertion, to check.End, proto uint8, port uint16) Result {
	if to.Name != nil {
		return w.named(l, to, proto, port)
	}
	var all []tried
	for _, b := range w.places(to, w.to) {
		for _, a := range w.places(l.From, w.from) {
			if !fits(a, b, proto) {
				continue
			}
			t, unsure := w.try(l, a, b, proto, port)
			if unsure != nil {
				return *unsure
			}
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		if slices.ContainsFunc(l.L4, func(x program.L4) bool { return x.Any }) {
			return Result{Test: w.test.Name, Status: Pass, Span: l.Span} // a protocol of the other family
		}
		return w.unsure(l, "the two ends have no addresses of one family", "give both an address of IPv4 or of IPv6")
	}
	for _, t := range all {
		if w.holds(l, t) != w.holds(l, all[0]) && (t.from.open || t.to.open) {
			return w.unsure(l, fmt.Sprintf("the verdict depends on the address of %s", openEnd(l, to, t)), "state it: `given NAME = { ... } at ADDRESS`")
		}
	}
	return w.result(l, all)
}

func openEnd(l *check.Assertion, to check.End, t tried) string {
	name := func(e check.End) string {
		if e.Host {
			return "host"
		}
		return e.Party
	}
	switch {
	case t.from.open && t.to.open:
		return name(l.From) + " or " + name(to)
	case t.from.open:
		return name(l.From)
	}
	return name(to)
}

// try judges one flow between two places in every way in which its content may be: with the request
// of the line or, without one, bare and with every request. The result is not nil when the line does
// not say enough.
func (w *world) try(l *check.Assertion, a, b place, proto uint8, port uint16) (tried, *Result) {
	t := tried{judge: w.with(a, b), from: a, to: b}
	t.flow = verdict.Flow{From: a.end, To: b.end, Proto: proto, Port: port}
	t.flow.Answers = w.learned(t.judge, a, b.end.Addr)
	contents := w.contents(l)
	stated := len(contents) > 0
	if !stated {
		t.verdict = t.judge.Decide(t.flow)
		if t.verdict.Action != verdict.Redirect || l.At != nil && half(t.verdict, *l.At).L7 == program.L7None {
			return t, nil
		}
		contents = w.requests.every(t.verdict.L7)
	} else {
		t.flow = contents[0].of(t.flow)
		t.verdict = t.judge.Decide(t.flow)
		contents = contents[1:]
	}
	for _, c := range contents {
		one := t
		one.flow = c.of(t.flow)
		one.verdict = t.judge.Decide(one.flow)
		if !stated && one.verdict.Reason == verdict.Refused {
			continue // whatever the rules
		}
		if w.holds(l, one) != w.holds(l, t) {
			r := w.unsure(l, c.summary, c.help)
			return t, &r
		}
	}
	return t, nil
}

func half(v verdict.Verdict, d program.Direction) verdict.Half {
	if d == program.Ingress {
		return v.Ingress
	}
	return v.Egress
}
