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
	for _, t := range m.Tests {
		if !strings.Contains(t.Name, opt.Name) {
			continue
		}
		w := newWorld(m, t)
		for i := range t.Lines {
			results = append(results, w.line(&t.Lines[i]))
		}
	}
	return results
}

// line judges one line: each destination at each port.
func (w *world) line(l *check.Assertion) Result {
	r := Result{Test: w.test.Name, Status: Pass, Span: l.Span}
	first := true
	for _, to := range l.To {
		for _, l4 := range l.L4 {
			if l4.Any {
				return w.unsure(l, "`any` has no port", "name the protocol and port")
			}
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

// ports returns the first port of l and every other at which what the rules say may change: the
// ports between are alike.
func (w *world) ports(l program.L4) []uint16 {
	ports := []uint16{l.First}
	add := func(p int) {
		if p > int(l.First) && p <= int(l.Last) {
			ports = append(ports, uint16(p))
		}
	}
	add(portDNS)
	add(portDNS + 1)
	for i := range w.rules.Policies {
		for _, b := range []*program.Block{w.rules.Policies[i].Egress, w.rules.Policies[i].Ingress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				for _, cut := range r.L4 {
					if cut.Proto == l.Proto && !cut.Any {
						add(int(cut.First))
						add(int(cut.Last) + 1)
					}
				}
			}
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
	rules    *program.Rules
	from, to place
	flow     verdict.Flow // as far as it was judged
	verdict  verdict.Verdict
}

// flows judges one destination at one port, in every way that the line leaves open.
func (w *world) flows(l *check.Assertion, to check.End, proto uint8, port uint16) Result {
	if to.Name != nil {
		return w.named(l, to, proto, port)
	}
	var all []tried
	for _, b := range w.places(to, w.to) {
		for _, a := range w.places(l.From, w.from) {
			if a.end.Addr.Is4() != b.end.Addr.Is4() || a.end.Addr == b.end.Addr {
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
		return w.unsure(l, "the two ends have no addresses of one family", "give both an address of IPv4 or of IPv6")
	}
	for _, t := range all {
		if w.holds(l, t) != w.holds(l, all[0]) && (t.from.open || t.to.open) {
			return w.unsure(l, fmt.Sprintf("the verdict depends on the address of %s", openEnd(l, to, t)), "state it: `given NAME = { ... } at ADDRESS`")
		}
	}
	return w.judge(l, all)
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

// try judges one flow between two places, with the request of the line. The result is not nil when
// the line does not say enough.
func (w *world) try(l *check.Assertion, a, b place, proto uint8, port uint16) (tried, *Result) {
	t := tried{rules: w.with(a, b), from: a, to: b}
	f := verdict.Flow{From: a.end, To: b.end, Proto: proto, Port: port, Names: w.learned(t.rules, a, b.end.Addr)}
	switch {
	case l.HTTP != nil:
		f.HTTP = &verdict.HTTP{Method: l.HTTP.Method, Path: l.HTTP.Path, Host: l.HTTP.Host}
	case l.SNI != "":
		f.TLS = &verdict.TLS{ServerName: l.SNI, Present: true}
	}
	t.flow, t.verdict = f, verdict.Decide(t.rules, f)
	if t.verdict.Action != verdict.Redirect || l.At != nil && half(t.verdict, *l.At).L7 == program.L7None {
		return t, nil
	}
	if t.verdict.L7 == program.L7DNS {
		return w.everyQuestion(l, t, f)
	}
	help := "state it, for instance `GET \"/\"`"
	if t.verdict.L7 == program.L7TLS {
		help = "state it: `sni \"NAME\"`"
	}
	r := w.unsure(l, fmt.Sprintf("the verdict depends on the request: the flow must speak %s", t.verdict.L7), help)
	return t, &r
}

func half(v verdict.Verdict, d program.Direction) verdict.Half {
	if d == program.Ingress {
		return v.Ingress
	}
	return v.Egress
}

// judge makes the result of verdicts that all have to be the line's.
func (w *world) judge(l *check.Assertion, all []tried) Result {
	worst := all[0]
	i := slices.IndexFunc(all, func(t tried) bool { return !w.holds(l, t) })
	if i >= 0 {
		worst = all[i]
	}
	r := Result{
		Test: w.test.Name, Status: Pass, Span: l.Span, Got: worst.verdict, Flow: worst.flow, Rules: worst.rules,
		Egress: newHalf(worst.rules, worst.verdict.Egress), Ingress: newHalf(worst.rules, worst.verdict.Ingress),
	}
	if i >= 0 {
		r.Status, r.Summary = Fail, describe(l, worst)
	}
	return r
}

// holds reports whether a verdict is what the line says: the action, by its rule, at its half.
func (w *world) holds(l *check.Assertion, t tried) bool {
	if l.At != nil && !wholly(t.verdict) && !half(t.verdict, *l.At).Exists {
		return false
	}
	want := l.Want == program.Allow
	return allows(l, t.verdict) == want && (l.By == "" || slices.Contains(deciders(l, t), l.By))
}

// allows reports what a verdict says, at the line's half if it names one.
func allows(l *check.Assertion, v verdict.Verdict) bool {
	overall := v.Action != verdict.Deny
	if l.At == nil || wholly(v) {
		return overall
	}
	return half(v, *l.At).Allow
}

// wholly reports whether no half decided.
func wholly(v verdict.Verdict) bool {
	return v.Reason == verdict.Refused || v.Reason == verdict.Unreadable || v.Reason == verdict.Unknown
}

// deciders returns the names that "by" may give for a verdict.
func deciders(l *check.Assertion, t tried) []string {
	if wholly(t.verdict) {
		return []string{"refused"}
	}
	var names []string
	for _, d := range []program.Direction{program.Egress, program.Ingress} {
		h := half(t.verdict, d)
		if !h.Exists || l.At != nil && *l.At != d || h.Allow != (l.Want == program.Allow) {
			continue
		}
		for _, id := range h.Matching {
			names = append(names, t.rules.Source(id).Name)
		}
	}
	return names
}

// describe says what was expected and what came.
func describe(l *check.Assertion, t tried) string {
	v := t.verdict
	got := word(allows(l, v))
	switch {
	case v.Reason == verdict.Refused:
		got += " by refused"
	case wholly(v):
		got += " (" + v.Reason.String() + ")"
	default:
		h, d := half(v, v.Half), v.Half
		if l.At != nil {
			h, d = half(v, *l.At), *l.At
		}
		s := t.rules.Source(h.Rule)
		got += fmt.Sprintf(" at %s by %s (%s)", d, s.Name, s)
		if !h.Exists {
			got = fmt.Sprintf("no %s half", d)
		}
	}
	want := l.Want.String()
	if l.At != nil {
		want += " at " + l.At.String()
	}
	if l.By != "" {
		want += " by " + l.By
	}
	return fmt.Sprintf("expected %s, got %s", want, got)
}
