// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// result makes the result of verdicts that all have to be the line's.
func (w *world) result(l *check.Assertion, all []tried) Result {
	worst := all[0]
	i := slices.IndexFunc(all, func(t tried) bool { return !w.holds(l, t) })
	if i >= 0 {
		worst = all[i]
	}
	rules := worst.judge.Rules()
	r := Result{
		Test: w.test.Name, Status: Pass, Span: l.Span, Got: worst.verdict, Flow: worst.flow, Rules: rules,
		Egress: newHalf(rules, worst.verdict.Egress), Ingress: newHalf(rules, worst.verdict.Ingress),
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
	return allows(l, t.verdict) == want && (l.By == "" || decided(l, t))
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

// decided reports whether what "by" names speaks for the verdict, or for that on a question before it,
// as far as that is the line's.
func decided(l *check.Assertion, t tried) bool {
	for _, v := range append(t.asked, t.verdict) {
		if wholly(v) {
			if l.By == "refused" {
				return true
			}
			continue
		}
		for _, d := range []program.Direction{program.Egress, program.Ingress} {
			h := half(v, d)
			if !h.Exists || l.At != nil && *l.At != d || h.Allow != (l.Want == program.Allow) {
				continue
			}
			if slices.ContainsFunc(h.Matching, func(id program.RuleID) bool { return t.judge.Rules().Source(id).Name == l.By }) {
				return true
			}
		}
	}
	return false
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
		s := t.judge.Rules().Source(h.Rule)
		got += fmt.Sprintf(" at %s by %s (%s)", d, s.Name, s)
		switch {
		case !v.Judged():
			got = fmt.Sprintf("no verdict: %s", v.Reason)
		case !h.Exists:
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
