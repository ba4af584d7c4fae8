// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"mpol/lang/diag"
)

// WriteTAP writes a TAP 14 stream: a test point a line, with a YAML block where it did not pass.
func (r *Report) WriteTAP(w io.Writer) error {
	var b strings.Builder
	if r.Wrong.HasErrors() {
		d := r.Wrong[slices.IndexFunc(r.Wrong, func(d diag.Diagnostic) bool { return d.Severity == diag.Error })]
		_, err := fmt.Fprintf(w, "TAP version 14\nBail out! %s\n", tapText(fmt.Sprintf("%s: %s", d.Span, d.Summary)))
		return err
	}
	total := 0
	for _, block := range r.Blocks {
		total += len(block.Lines)
	}
	fmt.Fprintf(&b, "TAP version 14\n1..%d", total)
	if total == 0 {
		b.WriteString(" # SKIP no lines")
	}
	b.WriteByte('\n')
	if r.Seed != 0 {
		fmt.Fprintf(&b, "# shuffled with seed %d\n", r.Seed)
	}
	n := 0
	for _, block := range r.Blocks {
		for _, l := range block.Lines {
			n++
			word := "ok"
			if l.Status != Pass {
				word = "not ok"
			}
			fmt.Fprintf(&b, "%s %d - %s", word, n, tapText(fmt.Sprintf("%s: %s", block.Test.Name, r.written(l.Span))))
			if block.Test.Todo {
				b.WriteString(" # TODO")
			}
			b.WriteByte('\n')
			if l.Status != Pass {
				tapBlock(&b, &l)
			}
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// tapText escapes a description: TAP 14, "Escaping". What cannot be printed has a sign in its place.
func tapText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(shown(s))
}

// tapBlock writes the YAML block of a point; its strings are those of Go, which YAML reads too
// (YAML 1.2, section 5.7).
func tapBlock(b *strings.Builder, l *Line) {
	quote := func(s string) string { return strconv.Quote(strings.ToValidUTF8(s, string(utf8.RuneError))) }
	fmt.Fprintf(b, "  ---\n  message: %s\n  severity: %s\n", quote(l.Summary), l.Status)
	fmt.Fprintf(b, "  at:\n    file: %s\n    line: %d\n", quote(l.Span.File), l.Span.Start.Line)
	for name, h := range l.halves() {
		fmt.Fprintf(b, "  %s: %s\n", name, quote(fmt.Sprintf("%s (%s)", h, h.Source)))
	}
	for i, near := range l.Near {
		if i == 0 {
			b.WriteString("  near:\n")
		}
		fmt.Fprintf(b, "    - %s\n", quote(near))
	}
	if l.Help != "" {
		fmt.Fprintf(b, "  help: %s\n", quote(l.Help))
	}
	b.WriteString("  ...\n")
}
