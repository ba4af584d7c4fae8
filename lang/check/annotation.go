// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"time"

	"mpol/lang"
	"mpol/lang/diag"
)

// annotations resolves annotations and, when a day is given, compares @expires with it.
func (c *checker) annotations(as []*lang.Annotation) []Annotation {
	out := resolved(as)
	for _, n := range out {
		if n.Key == "expires" && !c.opt.Today.IsZero() {
			c.expires(n)
		}
	}
	return out
}

// resolved returns annotations as data.
func resolved(as []*lang.Annotation) []Annotation {
	out := []Annotation{}
	for _, a := range as {
		n := Annotation{Key: a.Key.Value, Span: a.Span()}
		for _, v := range lang.Items(a.Values) {
			n.Values = append(n.Values, lang.Text(v))
		}
		out = append(out, n)
	}
	return out
}

func (c *checker) expires(a Annotation) {
	date, err := time.Parse(time.DateOnly, a.Values[0])
	switch {
	case err != nil || len(a.Values) != 1:
		c.errorAt(diag.BadDate, a.Span, "expires takes one date", `write @expires("2027-06-30")`)
	case date.Before(dayOf(c.opt.Today)):
		c.diags.Add(expired(a))
	}
}

// dayOf is the UTC day of a time, as a date that an annotation names.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func expired(a Annotation) diag.Diagnostic {
	return diag.Diagnostic{
		Code: diag.Expired, Span: a.Span, Summary: fmt.Sprintf("this expired on %s", a.Values[0]),
		Help: "remove what it stands before, or set a later date",
	}
}

// Expired warns of what has expired by the UTC day of today, for those who report it and change no
// verdict: Options.Today makes it an error.
func Expired(m *Module, today time.Time) diag.List {
	var list diag.List
	look := func(as []Annotation) {
		for _, a := range as {
			if a.Key != "expires" || len(a.Values) != 1 {
				continue
			}
			if date, err := time.Parse(time.DateOnly, a.Values[0]); err == nil && date.Before(dayOf(today)) {
				d := expired(a)
				d.Severity = diag.Warning
				list.Add(d)
			}
		}
	}
	for _, p := range m.Policies {
		look(p.Annotations)
		for _, b := range []*Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				look(r.Annotations)
			}
		}
	}
	return list
}
