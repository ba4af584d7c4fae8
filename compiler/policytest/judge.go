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
func (w *world) result(l *check.Assertion, all *ways) Result {
	r := Result{Test: w.test.Name, Status: Pass, Span: l.Span, Got: all.first.verdict, Judge: all.first.judge}
	if t := all.wrong; t != nil {
		r.Status, r.Summary, r.Got, r.Flow, r.Judge = Fail, describe(l, t), t.verdict, &t.flow, t.judge
	}
	return r
}

// holds reports whether a verdict is what the line says: the action, by its rule, at its half.
func (w *world) holds(l *check.Assertion, t *tried) bool {
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
func decided(l *check.Assertion, t *tried) bool {
	return speaks(l, t) || slices.ContainsFunc(t.asked, func(q tried) bool { return speaks(l, &q) })
}

// speaks reports whether what "by" names speaks for one verdict.
func speaks(l *check.Assertion, t *tried) bool {
	if wholly(t.verdict) {
		return l.By == "refused"
	}
	rules := t.judge.Rules()
	for _, d := range []program.Direction{program.Egress, program.Ingress} {
		if !rests(l, t.verdict, d) {
			continue
		}
		for _, id := range half(t.verdict, d).Matching {
			if rules.Source(id).Name == l.By {
				return true
			}
		}
	}
	return false
}

// rests reports whether a half is one of those about which the line says something, and says that.
func rests(l *check.Assertion, v verdict.Verdict, d program.Direction) bool {
	h := half(v, d)
	return h.Exists && (l.At == nil || *l.At == d) && h.Allow == (l.Want == program.Allow)
}

// describe says what was expected and what came.
func describe(l *check.Assertion, t *tried) string {
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
