// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
)

const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	blue   = "\x1b[1;34m"
	reset  = "\x1b[0m"
)

// WriteHuman writes l for a terminal: each fact with its source line, a caret under the span, the
// help and the other places. Source returns the text of a file, nil when it is not at hand.
func WriteHuman(w io.Writer, l List, source func(file string) []byte, color bool) error {
	for _, d := range l {
		if _, err := io.WriteString(w, human(d, source, color)); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}

func human(d Diagnostic, source func(string) []byte, color bool) string {
	paint := func(c, s string) string {
		if !color {
			return s
		}
		return c + s + reset
	}
	tone := red
	if d.Severity == Warning {
		tone = yellow
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s: %s\n", before(d.Span), paint(tone, fmt.Sprintf("%s[%s]", d.Severity, d.Code)), visible(d.Summary))
	b.WriteString(excerpt(source(d.Span.File), d.Span, tone, color))
	if d.Help != "" {
		fmt.Fprintf(&b, "  %s %s\n", paint(blue, "help:"), visible(d.Help))
	}
	for _, r := range d.Related {
		fmt.Fprintf(&b, "  %s%s\n", before(r.Span), visible(r.Summary))
	}
	return b.String()
}

// before returns what stands before a text that is said of a place.
func before(s Span) string {
	if s.IsZero() {
		return ""
	}
	return visible(s.String()) + ": "
}

// Excerpt returns the line of text in which a span begins, with its number and a caret under the
// span, as WriteHuman shows it; nothing if text has no such line.
func Excerpt(text []byte, s Span, color bool) string { return excerpt(text, s, blue, color) }

func excerpt(text []byte, s Span, tone string, color bool) string {
	line, ok := sourceLine(text, s.Start)
	if !ok {
		return ""
	}
	under := carets(line, s)
	if color {
		under = tone + under + reset
	}
	number := fmt.Sprint(s.Start.Line)
	pad := strings.Repeat(" ", len(number))
	return fmt.Sprintf(" %s | %s\n %s | %s%s\n", number, visible(line), pad, indent(line, s.Start.Column), under)
}

// sourceLine returns the line of text that holds p, without its end.
func sourceLine(text []byte, p Pos) (string, bool) {
	if p.Line < 1 || p.Offset > len(text) || len(text) == 0 {
		return "", false
	}
	start := bytes.LastIndexByte(text[:p.Offset], '\n') + 1
	line := text[start:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	if start == 0 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	return string(bytes.TrimSuffix(line, []byte("\r"))), true
}

// indent returns the blank that stands left of a column; tabs stay tabs, so that carets line up.
func indent(line string, column int) string {
	var b strings.Builder
	for _, r := range visible(line) {
		if column--; column < 1 {
			break
		}
		if r == '\t' {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Repeat(" ", cells(r)))
	}
	return b.String()
}

// carets underlines the part of span on its first line, one caret at least.
func carets(line string, s Span) string {
	n, column := 0, 0
	for _, r := range visible(line) {
		if column++; column >= s.Start.Column && (column < s.End.Column || s.End.Line > s.Start.Line) {
			n += cells(r)
		}
	}
	return strings.Repeat("^", max(n, 1))
}

// visible replaces what could move or hide text on a terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
