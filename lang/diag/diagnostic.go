// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"cmp"
	"slices"
	"strings"
)

// Severity says whether a diagnostic refuses the policy.
type Severity uint8

// The severities. The zero value is Error.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Diagnostic is one mistake. Summary is a fact in one line, Help a line that can be followed or
// pasted, or empty. Related are the other places that take part, earlier ones first.
type Diagnostic struct {
	Code     Code
	Severity Severity
	Span     Span
	Summary  string
	Help     string
	Related  []Related
}

// Related is another place with what it has to do with the mistake.
type Related struct {
	Span    Span
	Summary string
}

// List is the diagnostics of a run. The zero value is empty and ready.
type List []Diagnostic

// maxText is how many bytes a summary or a help has, about: a name or a string of a file may be as long as
// the file.
const maxText = 1000

// Add appends d, with the middle of a summary or help left out that nobody could read.
func (l *List) Add(d Diagnostic) {
	d.Summary, d.Help = shortened(d.Summary), shortened(d.Help)
	*l = append(*l, d)
}

func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	const half = maxText / 2
	return strings.ToValidUTF8(text[:half], "") + " … " + strings.ToValidUTF8(text[len(text)-half:], "")
}

// HasErrors reports whether any diagnostic is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sort brings l in file order: by the place of the file in files (other files last, by name), then
// by the place in the file, then by code. Equal diagnostics are merged.
func (l *List) Sort(files []string) {
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f] = i - len(files)
	}
	slices.SortStableFunc(*l, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(order[a.Span.File], order[b.Span.File]),
			cmp.Compare(a.Span.File, b.Span.File),
			cmp.Compare(a.Span.Start.Offset, b.Span.Start.Offset),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Summary, b.Summary),
		)
	})
	*l = slices.CompactFunc(*l, func(a, b Diagnostic) bool {
		return a.Code == b.Code && a.Span == b.Span && a.Summary == b.Summary
	})
}
