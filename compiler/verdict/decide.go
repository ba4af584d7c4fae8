// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"strings"

	"mpol/compiler/program"
)

// Decide judges f by rules. Without a question or request in f it is the verdict on the flow: deny,
// allow or, where its content has to be judged, redirect. With one it is the final verdict on it,
// deny or allow. For many flows by the same rules New is faster and says the same.
func Decide(rules *program.Rules, f Flow) Verdict { return New(rules).Decide(f) }

// Decide judges f: see the function of the same name.
func (e *Evaluator) Decide(f Flow) Verdict {
	v := e.decide(&f, program.Egress, program.Ingress)
	if e.bare == nil {
		return v
	}
	if w := e.bare.decide(&f, program.Egress, program.Ingress); w.Action != v.Action {
		v.Audit = &w
	}
	return v
}

// DecideHalf judges f as Decide does, by one half alone: as if nobody enforced the other end. Where that
// half does not exist the verdict has the reason Foreign.
func (e *Evaluator) DecideHalf(f Flow, d program.Direction) Verdict { return e.decide(&f, d) }

// decide judges f by some halves.
func (e *Evaluator) decide(f *Flow, halves ...program.Direction) Verdict {
	from, ok := e.resolve(f.From)
	if !ok {
		return Verdict{}
	}
	to, ok := e.resolve(f.To)
	if !ok || from.addr.Is4() != to.addr.Is4() {
		return Verdict{}
	}
	if from.workload != nil && from.workload == to.workload || from.host && to.host {
		return Verdict{Action: Allow, Reason: Self}
	}
	var out, in half
	for _, d := range halves {
		if d == program.Egress {
			out = e.half(d, from, to, f)
		} else {
			in = e.half(d, to, from, f)
		}
	}
	if !out.exists() && !in.exists() {
		return Verdict{Action: Allow, Reason: Foreign}
	}
	v := combine(out.verdict(content{}), in.verdict(content{}), Redirect)
	if v.Action != Redirect || f.HTTP == nil && f.TLS == nil && f.Question == nil {
		return v
	}
	c, reason := e.read(f, v.L7)
	if reason == ByRule && !c.mayLeave(&out, &in) {
		reason = Refused
	}
	if reason != ByRule {
		v.Action, v.Rule, v.Reason = Deny, 0, reason
		return v
	}
	return combine(out.verdict(c), in.verdict(c), Allow)
}

// mayLeave reports whether c stays in HTTP, or a rule of a half names the way in which it leaves.
func (c content) mayLeave(halves ...*half) bool {
	if c.kind != program.L7HTTP {
		return true
	}
	named := func(is func(program.HTTPRequest) bool) bool {
		for _, h := range halves {
			if h.names(is) {
				return true
			}
		}
		return false
	}
	connect := !isConnect(c.http.Method) || named(asksConnect)
	return connect && (c.http.Upgrade == "" ||
		named(func(r program.HTTPRequest) bool { return strings.EqualFold(r.Upgrade, c.http.Upgrade) }))
}

// combine makes the verdict of two halves; through is what becomes of an allowed flow with L7.
func combine(e, i Half, through Action) Verdict {
	v := Verdict{Egress: e, Ingress: i}
	report := func(a Action, d program.Direction, h Half) Verdict {
		v.Action, v.Half, v.Rule, v.Reason = a, d, h.Rule, h.Reason
		return v
	}
	switch {
	case e.Exists && !e.Allow:
		return report(Deny, program.Egress, e)
	case i.Exists && !i.Allow:
		return report(Deny, program.Ingress, i)
	case e.L7 != program.L7None && i.L7 != program.L7None && e.L7 != i.L7:
		e.Reason = Conflict
		return report(Deny, program.Egress, e)
	case e.L7 != program.L7None:
		v.L7 = e.L7
		return report(through, program.Egress, e)
	case i.L7 != program.L7None:
		v.L7 = i.L7
		return report(through, program.Ingress, i)
	case e.Exists && e.Governed:
		return report(Allow, program.Egress, e)
	case i.Exists:
		return report(Allow, program.Ingress, i)
	}
	return report(Allow, program.Egress, e)
}
