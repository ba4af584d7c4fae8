// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"slices"
	"strings"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// excepted reports whether the policy or the rule at a place bears @allow for g with a reason.
func excepted(m *check.Module, g Guardrail, at diag.Span) bool {
	for _, p := range m.Policies {
		if covers(p.Span, p.Annotations, at) && allows(p.Annotations, g) {
			return true
		}
		for _, r := range rules(p) {
			if covers(r.Span, r.Annotations, at) && allows(r.Annotations, g) {
				return true
			}
		}
	}
	return false
}

// rules returns the rules of both directions of p.
func rules(p *check.Policy) []*check.Rule {
	var rs []*check.Rule
	for _, b := range []*check.Block{p.Ingress, p.Egress} {
		if b != nil {
			rs = append(rs, b.Rules...)
		}
	}
	return rs
}

// covers reports whether a place lies in a declaration or in one of its annotations.
func covers(declaration diag.Span, annotations []check.Annotation, at diag.Span) bool {
	return within(declaration, at) ||
		slices.ContainsFunc(annotations, func(a check.Annotation) bool { return within(a.Span, at) })
}

func within(outer, at diag.Span) bool {
	return outer.File == at.File && outer.Start.Offset <= at.Start.Offset && at.End.Offset <= outer.End.Offset
}

func allows(as []check.Annotation, g Guardrail) bool {
	return slices.ContainsFunc(as, func(a check.Annotation) bool { return names(a, g) && reasoned(a) })
}

func names(a check.Annotation, g Guardrail) bool {
	return a.Key == "allow" && len(a.Values) > 0 && a.Values[0] == g.Name
}

func reasoned(a check.Annotation) bool {
	return len(a.Values) == 2 && strings.TrimSpace(a.Values[1]) != ""
}

// blankExceptions reports each @allow that names a guardrail and does not say why.
func blankExceptions(m *check.Module, gs []Guardrail) diag.List {
	var list diag.List
	look := func(as []check.Annotation) {
		for _, a := range as {
			for _, g := range gs {
				if names(a, g) && !reasoned(a) {
					list = append(list, blankException(a, g))
				}
			}
		}
	}
	for _, p := range m.Policies {
		look(p.Annotations)
		for _, r := range rules(p) {
			look(r.Annotations)
		}
	}
	return list
}

func blankException(a check.Annotation, g Guardrail) diag.Diagnostic {
	return diag.Diagnostic{
		Code:     CodeException,
		Severity: diag.Error,
		Span:     a.Span,
		Summary:  fmt.Sprintf("exception from guardrail %s gives no reason", g.Name),
		Help:     fmt.Sprintf("@allow(%q, \"why this is right here\")", g.Name),
	}
}
