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
	today, _ := time.Parse(time.DateOnly, c.opt.Today.UTC().Format(time.DateOnly))
	switch {
	case err != nil || len(a.Values) != 1:
		c.errorAt(diag.BadDate, a.Span, "expires takes one date", `write @expires("2027-06-30")`)
	case date.Before(today):
		c.errorAt(diag.Expired, a.Span, fmt.Sprintf("this expired on %s", a.Values[0]), "remove what it stands before, or set a later date")
	}
}
