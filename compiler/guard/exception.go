// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"slices"
	"strings"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// annotated is what may bear an exception: a policy, a rule, a tier, a resolver or a test.
type annotated struct {
	span        diag.Span
	annotations []check.Annotation
}

// exceptions returns what of m bears an annotation named allow.
func exceptions(m *check.Module) []annotated {
	var list []annotated
	look := func(span diag.Span, as []check.Annotation) {
		if slices.ContainsFunc(as, func(a check.Annotation) bool { return a.Key == "allow" }) {
			list = append(list, annotated{span, as})
		}
	}
	for _, t := range m.TierPlaces {
		look(t.Span, t.Annotations)
	}
	for _, r := range m.Resolvers {
		look(r.Span, r.Annotations)
	}
	for _, p := range m.Policies {
		look(p.Span, p.Annotations)
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				look(r.Span, r.Annotations)
			}
		}
	}
	for _, t := range m.Tests {
		look(t.Span, t.Annotations)
	}
	return list
}

// excepts reports whether d stands over a place and bears @allow for g with a reason.
func (d annotated) excepts(g Guardrail, at diag.Span) bool {
	return d.covers(at) &&
		slices.ContainsFunc(d.annotations, func(a check.Annotation) bool { return names(a, g) && reasoned(a) })
}

// covers reports whether a place lies in d or in one of its annotations.
func (d annotated) covers(at diag.Span) bool {
	return within(d.span, at) ||
		slices.ContainsFunc(d.annotations, func(a check.Annotation) bool { return within(a.Span, at) })
}

func within(outer, at diag.Span) bool {
	return outer.File == at.File && outer.Start.Offset <= at.Start.Offset && at.End.Offset <= outer.End.Offset
}

func names(a check.Annotation, g Guardrail) bool {
	return a.Key == "allow" && len(a.Values) > 0 && a.Values[0] == g.Name
}

func reasoned(a check.Annotation) bool {
	return len(a.Values) == 2 && strings.TrimSpace(a.Values[1]) != ""
}

// blankExceptions reports each @allow that names a guardrail and does not say why.
func blankExceptions(ds []annotated, gs []Guardrail) diag.List {
	var list diag.List
	for _, d := range ds {
		for _, a := range d.annotations {
			for _, g := range gs {
				if names(a, g) && !reasoned(a) {
					list = append(list, blankException(a, g))
				}
			}
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
