// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
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

// grants are the places within which exceptions with a reason hold, by guardrail and file, in file
// order, none within another.
type grants map[[2]string][]diag.Span

// grant collects the exceptions of declarations and their annotations.
func grant(ds []annotated) grants {
	all := grants{}
	for _, d := range ds {
		for _, a := range d.annotations {
			if a.Key != "allow" || !reasoned(a) {
				continue
			}
			key := [2]string{a.Values[0], d.span.File}
			all[key] = append(all[key], d.span)
			for _, a := range d.annotations {
				all[key] = append(all[key], a.Span)
			}
		}
	}
	for key, spans := range all {
		slices.SortFunc(spans, func(a, b diag.Span) int {
			return cmp.Or(cmp.Compare(a.Start.Offset, b.Start.Offset), cmp.Compare(b.End.Offset, a.End.Offset))
		})
		outer := spans[:0]
		for _, s := range spans {
			if n := len(outer); n == 0 || !within(outer[n-1], s) {
				outer = append(outer, s)
			}
		}
		all[key] = outer
	}
	return all
}

// cover reports whether d is what a guardrail says of a place within an exception from it.
func (g grants) cover(d diag.Diagnostic) bool {
	name, ok := strings.CutPrefix(string(d.Code), codeHead)
	if !ok {
		return false
	}
	spans := g[[2]string{name, d.Span.File}]
	i, found := slices.BinarySearchFunc(spans, d.Span.Start.Offset, func(s diag.Span, at int) int { return cmp.Compare(s.Start.Offset, at) })
	if !found {
		i--
	}
	return i >= 0 && within(spans[i], d.Span)
}

func within(outer, at diag.Span) bool {
	return outer.File == at.File && outer.Start.Offset <= at.Start.Offset && at.End.Offset <= outer.End.Offset
}

func reasoned(a check.Annotation) bool {
	return len(a.Values) == 2 && strings.TrimSpace(a.Values[1]) != ""
}

// wrongExceptions reports each @allow that names a guardrail and does not say why, and each that names
// none, which excepts from nothing.
func wrongExceptions(ds []annotated, gs []Guardrail) diag.List {
	var names []string
	for _, g := range gs {
		names = append(names, g.Name)
	}
	var list diag.List
	for _, d := range ds {
		for _, a := range d.annotations {
			switch {
			case a.Key != "allow" || a.Values[0] == string(diag.BroadDomain): // an exception of the language
			case !slices.Contains(names, a.Values[0]):
				list = append(list, idleException(a, names))
			case !reasoned(a):
				list = append(list, blankException(a))
			}
		}
	}
	return list
}

func blankException(a check.Annotation) diag.Diagnostic {
	return diag.Diagnostic{
		Code:     CodeException,
		Severity: diag.Error,
		Span:     a.Span,
		Summary:  fmt.Sprintf("exception from guardrail %s gives no reason", a.Values[0]),
		Help:     fmt.Sprintf("@allow(%q, \"why this is right here\")", a.Values[0]),
	}
}

func idleException(a check.Annotation, names []string) diag.Diagnostic {
	help := "give its folder with --guardrails, or remove the exception"
	if near := diag.Nearest(a.Values[0], names); near != "" {
		help = fmt.Sprintf("did you mean %q?", near)
	}
	return diag.Diagnostic{
		Code:     CodeUnknown,
		Severity: diag.Warning,
		Span:     a.Span,
		Summary:  fmt.Sprintf("no guardrail is named %q", a.Values[0]),
		Help:     help,
	}
}
