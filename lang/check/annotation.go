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
	d := diag.Diagnostic{Severity: c.opt.Dates, Span: a.Span}
	date, err := time.Parse(time.DateOnly, a.Values[0])
	switch {
	case err != nil || len(a.Values) != 1:
		d.Code, d.Summary, d.Help = diag.BadDate, "expires takes one date", `write @expires("2027-06-30")`
	case date.Before(dayOf(c.opt.Today)):
		d.Code, d.Summary = diag.Expired, fmt.Sprintf("this expired on %s", a.Values[0])
		d.Help = "remove what it stands before, or set a later date"
	default:
		return
	}
	c.diags.Add(d)
}

// dayOf is the UTC day of a time, as a date that an annotation names.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
