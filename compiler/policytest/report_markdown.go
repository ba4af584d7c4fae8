// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// WriteMarkdown writes a summary for a page such as that of a CI job: a table of the tests and what
// failed in them.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## Policy tests\n\n%s\n\n", cell(r.Summary()))
	for _, d := range r.Wrong {
		fmt.Fprintf(&b, "- %s: %s: %s\n", cell(d.Span.String()), d.Severity, cell(d.Summary))
	}
	if len(r.Blocks) > 0 {
		b.WriteString("| test | lines | result |\n| --- | ---: | --- |\n")
	}
	for i := range r.Blocks {
		block := &r.Blocks[i]
		result := "passed"
		switch {
		case block.Done():
			result = "passed, and is still to do"
		case block.Test.Todo:
			result = "to do"
		case block.Failed():
			result = "**failed**"
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", cell(block.Test.Name), len(block.Lines), result)
	}
	for _, block := range r.Blocks {
		for _, l := range block.Lines {
			if l.Status == Pass || block.Test.Todo {
				continue
			}
			fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", cell(l.Span.String()), fence("mpol", shown(r.written(l.Span))))
			fmt.Fprintf(&b, "%s\n\n", cell(l.Summary))
			for d, h := range l.halves() {
				fmt.Fprintf(&b, "- %s: %s (%s)\n", d, cell(h.String()), cell(h.Source.String()))
			}
			for _, near := range l.Near {
				fmt.Fprintf(&b, "- near: %s\n", cell(near))
			}
			if l.Edit != nil {
				fmt.Fprintf(&b, "\n%s:\n\n%s\n", cell(l.Edit.Says), fence("diff", strings.TrimRight(l.Edit.diff(r.Text, ""), "\n")))
			}
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// cell escapes text so that Markdown shows it as it is, in a table too.
func cell(s string) string {
	var b strings.Builder
	for _, c := range shown(s) {
		if strings.ContainsRune("\\`*_{}[]<>#|!~&", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// shown returns text as one line that can be printed.
func shown(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return unicode.ReplacementChar
		}
		return c
	}, s)
}

// fence returns a block that shows text as it is.
func fence(language, text string) string {
	ticks := "```"
	for strings.Contains(text, ticks) {
		ticks += "`"
	}
	return ticks + language + "\n" + text + "\n" + ticks
}
