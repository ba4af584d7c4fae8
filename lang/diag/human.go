// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
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
	line, cut, ok := sourceLine(text, s.Start)
	if !ok {
		return ""
	}
	number := fmt.Sprint(s.Start.Line)
	pad := strings.Repeat(" ", len(number))
	s.Start.Column, s.End.Column = s.Start.Column-cut, s.End.Column-cut
	under := carets(line, s)
	if color {
		under = tone + under + reset
	}
	return fmt.Sprintf(" %s | %s\n %s | %s%s\n", number, visible(line), pad, indent(line, s.Start.Column), under)
}

// A line is shown from maxBefore bytes before the place to maxBehind bytes behind it.
const (
	maxBefore = 200
	maxBehind = 400
)

// sourceLine returns the line of text that holds p, without its end. What is left out of a long one is shown
// as a character; cut is by how many columns what follows it stands further left.
func sourceLine(text []byte, p Pos) (line string, cut int, ok bool) {
	if p.Line < 1 || p.Offset > len(text) || len(text) == 0 {
		return "", 0, false
	}
	const more = "…"
	from, to := max(0, p.Offset-maxBefore), min(p.Offset+maxBehind, len(text))
	before, behind := text[from:p.Offset], text[p.Offset:to]
	if start := bytes.LastIndexByte(before, '\n'); start >= 0 {
		before = before[start+1:]
	} else if from == 0 {
		before = bytes.TrimPrefix(before, []byte("\ufeff"))
	} else if text[from-1] != '\n' {
		for len(before) > 0 && !utf8.RuneStart(before[0]) {
			before = before[1:]
		}
		cut = p.Column - 1 - utf8.RuneCount(before) - utf8.RuneCountInString(more)
		line = more
	}
	line += string(before)
	if end := bytes.IndexByte(behind, '\n'); end >= 0 || to == len(text) || text[to] == '\n' {
		if end >= 0 {
			behind = behind[:end]
		}
		return strings.TrimSuffix(line+string(behind), "\r"), cut, true
	}
	for len(behind) > 0 && !utf8.RuneStart(text[p.Offset+len(behind)]) {
		behind = behind[:len(behind)-1]
	}
	return line + string(behind) + more, cut, true
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
