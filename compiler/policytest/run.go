// SPDX-License-Identifier: Apache-2.0

package policytest

import (
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
	var r Result
	first := true
	for _, to := range l.To {
		scope := w.scope(l.From, to)
		for _, l4 := range scope.protocols(l.L4) {
			for _, port := range scope.ports(l4) {
				one := w.flows(l, to, l4.Proto, port)
				if one.Status == Error {
					return one
				}
				if first || one.Status < r.Status {
					r, first = one, false
				}
			}
		}
	}
	return r
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
	asked    []tried // the questions that led to the flow's address
	holds    bool    // it is what the line says
}

// ways are verdicts of which all have to be the line's.
type ways struct {
	n     int
	first tried
	// wrong is the first that is not what the line says, other the first that is so and the first of
	// all is not, or the other way round, with an end that is open; nil if there is none.
	wrong, other *tried
}

// add adds a verdict to some of them.
func (w *world) add(l *check.Assertion, t tried, to ...*ways) {
	t.holds = w.holds(l, &t)
	for _, all := range to {
		if all.n == 0 {
			all.first = t
		}
		all.n++
		if !t.holds && all.wrong == nil {
			all.wrong = copied(t)
		}
		if t.holds != all.first.holds && (t.from.open || t.to.open) && all.other == nil {
			all.other = copied(t)
		}
	}
}

// copied is a place of its own for a verdict, which most verdicts do not need.
func copied(t tried) *tried { return &t }

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
	var all ways
	scope := w.scope(l.From, to)
	from := w.places(l.From, scope.from)
	for _, b := range w.places(to, scope.to) {
		for _, a := range from {
			if !fits(a, b, proto) {
				continue
			}
			t, unsure := w.try(l, to, tried{judge: w.with(a, b), from: a, to: b}, proto, port)
			if unsure != nil {
				return *unsure
			}
			w.add(l, t, &all)
		}
	}
	if all.n == 0 {
		if slices.ContainsFunc(l.L4, func(x program.L4) bool { return x.Any }) {
			return Result{Test: w.test.Name, Status: Pass, Span: l.Span} // a protocol of the other family
		}
		return w.apart(l, to, proto)
	}
	if unsure := w.open(l, to, &all); unsure != nil {
		return *unsure
	}
	return w.result(l, &all)
}

// apart says why no flow of a protocol is possible between two ends.
func (w *world) apart(l *check.Assertion, to check.End, proto uint8) Result {
	scope := w.scope(l.From, to)
	var v4, v6, one bool // families that an end has, and an address that both have
	for _, a := range w.places(l.From, scope.from) {
		for _, b := range w.places(to, scope.to) {
			one = one || a.end.Addr == b.end.Addr
			v4, v6 = v4 || a.end.Addr.Is4() && b.end.Addr.Is4(), v6 || a.end.Addr.Is6() && b.end.Addr.Is6()
		}
	}
	switch {
	case proto == program.ProtoICMP && v6:
		return w.unsure(l, "icmp is IPv4 only, and the two ends have no such addresses", "write icmpv6")
	case proto == program.ProtoICMPv6 && v4:
		return w.unsure(l, "icmpv6 is IPv6 only, and the two ends have no such addresses", "write icmp")
	case one:
		return w.unsure(l, "the two ends have the same address", "give each its own")
	}
	return w.unsure(l, "the two ends have no addresses of one family", "give both an address of IPv4 or of IPv6")
}

// open says that a line hangs on an address that the test does not state; nil if it does not.
func (w *world) open(l *check.Assertion, to check.End, all *ways) *Result {
	if all.other == nil {
		return nil
	}
	r := w.unsure(l, "the verdict depends on the address of "+openEnd(l, to, all.other), "state it: `given NAME = { ... } at ADDRESS`")
	return &r
}

func openEnd(l *check.Assertion, to check.End, t *tried) string {
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

// try judges one flow between the two places of t in every way in which its content may be: with the
// request of the line or, without one, bare and with every request. The result is not nil when the line
// does not say enough.
func (w *world) try(l *check.Assertion, to check.End, t tried, proto uint8, port uint16) (tried, *Result) {
	t.flow = verdict.Flow{From: t.from.end, To: t.to.end, Proto: proto, Port: port}
	t.flow.Answers = w.learned(t.judge, t.from, t.to.end.Addr)
	contents := w.contents(l, to)
	stated := len(contents) > 0
	if !stated {
		t.verdict = decide(l, &t)
		if t.verdict.Action != verdict.Redirect || l.At != nil && half(t.verdict, *l.At).L7 == program.L7None {
			return t, nil
		}
		contents = w.scope(l.From, to).asks().every(t.verdict.L7)
	} else {
		t.flow = contents[0].of(t.flow)
		t.verdict = decide(l, &t)
		contents = contents[1:]
	}
	if len(contents) == 0 {
		return t, nil
	}
	holds := w.holds(l, &t)
	for _, c := range contents {
		one := t
		one.flow = c.of(t.flow)
		one.verdict = decide(l, &one)
		if !stated && one.verdict.Reason == verdict.Refused {
			continue // whatever the rules
		}
		if w.holds(l, &one) != holds {
			r := w.unsure(l, c.summary, c.help)
			return t, &r
		}
	}
	return t, nil
}

// decide judges the flow of t as the line asks, which may be for one half alone; the other half is told
// beside it.
func decide(l *check.Assertion, t *tried) verdict.Verdict {
	both := t.judge.Decide(t.flow)
	if l.At == nil || !half(both, *l.At).Exists {
		return both
	}
	one := t.judge.DecideHalf(t.flow, *l.At)
	if *l.At == program.Egress {
		one.Ingress = both.Ingress
	} else {
		one.Egress = both.Egress
	}
	return one
}

func half(v verdict.Verdict, d program.Direction) verdict.Half {
	if d == program.Ingress {
		return v.Ingress
	}
	return v.Egress
}
