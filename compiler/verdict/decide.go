// SPDX-License-Identifier: Apache-2.0

package verdict

import "mpol/compiler/program"

// Decide judges f by rules. Without a question or request in f it is the verdict on the flow: deny,
// allow or, where its content has to be judged, redirect. With one it is the final verdict on it,
// deny or allow.
func Decide(rules *program.Rules, f Flow) Verdict {
	from, ok := resolve(&rules.Inventory, f.From)
	if !ok {
		return Verdict{}
	}
	to, ok := resolve(&rules.Inventory, f.To)
	if !ok || from.addr.Is4() != to.addr.Is4() {
		return Verdict{}
	}
	if from.workload != nil && from.workload == to.workload {
		return Verdict{Action: Allow, Reason: Self}
	}
	if !from.local() && !to.local() {
		return Verdict{Action: Allow, Reason: Foreign}
	}
	if to.internet() {
		to.names = f.Names
	}
	v := judge(rules, f, content{}, from, to)
	if v.Action != Redirect || f.HTTP == nil && f.TLS == nil && f.Question == nil {
		return v
	}
	c, reason := read(f, v.L7)
	if reason != ByRule {
		v.Action, v.Rule, v.Reason = Deny, 0, reason
		return v
	}
	return judge(rules, f, c, from, to)
}

// judge asks both halves about the flow, or about c in it.
func judge(rules *program.Rules, f Flow, c content, from, to peer) Verdict {
	v := Verdict{}
	if from.local() {
		v.Egress = newSearch(rules, program.Egress, from, to, f).half(c)
	}
	if to.local() {
		v.Ingress = newSearch(rules, program.Ingress, to, from, f).half(c)
	}
	through := Redirect
	if c.kind != program.L7None {
		through = Allow
	}
	return combine(v, through)
}

// combine makes the verdict of two halves; through is what becomes of an allowed flow with L7.
func combine(v Verdict, through Action) Verdict {
	report := func(a Action, d program.Direction, h Half) Verdict {
		v.Action, v.Half, v.Rule, v.Reason = a, d, h.Rule, h.Reason
		return v
	}
	e, i := v.Egress, v.Ingress
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
