// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// The codes of lines that did not pass.
const (
	CodeFailed  diag.Code = "test-failed"  // the policies say otherwise
	CodeUnclear diag.Code = "test-unclear" // the line leaves open what the verdict depends on
	CodeDone    diag.Code = "test-done"    // warning: a todo test passes
)

// Codes returns every code of this package.
func Codes() []diag.Code { return []diag.Code{CodeFailed, CodeUnclear, CodeDone} }

// Diagnostics returns what is wrong with the policies and one for each line of a test that failed; the halves are its other places. A
// todo test that passes has a warning.
func (r *Report) Diagnostics() diag.List {
	list := slices.Clone(r.Wrong)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		if b.Done() {
			list = append(list, b.done())
		}
		for _, l := range b.Lines {
			if l.Status != Pass && !b.Test.Todo {
				d := l.diagnostic()
				for half, h := range l.halves() {
					d.Related = append(d.Related, r.related(half, h))
				}
				list = append(list, d)
			}
		}
	}
	return list
}

// done says of a todo test that it passes.
func (b *Block) done() diag.Diagnostic {
	return diag.Diagnostic{
		Code: CodeDone, Severity: diag.Warning, Span: firstLine(b.Test.Span), Help: "take the word todo away",
		Summary: fmt.Sprintf("test %q passes and is still to do", b.Test.Name),
	}
}

// firstLine cuts a span off at the end of its first line.
func firstLine(s diag.Span) diag.Span {
	s.End = s.Start
	return s
}

func (l *Line) diagnostic() diag.Diagnostic {
	d := diag.Diagnostic{Code: CodeFailed, Span: l.Span, Summary: fmt.Sprintf("test %q: %s", l.Test, l.Summary), Help: l.Help}
	if l.Status == Error {
		d.Code = CodeUnclear
	}
	return d
}

// related says what a half says and where.
func (r *Report) related(d program.Direction, h Half) diag.Related {
	at, ok := r.span(h.Source)
	if !ok {
		p := diag.Pos{Line: h.Source.Line, Column: h.Source.Column}
		at = diag.Span{File: h.Source.File, Start: p, End: p}
	}
	return diag.Related{Span: at, Summary: fmt.Sprintf("%s: %s", d, h)}
}

// WriteHuman writes for a terminal each line that did not pass: what was expected and what came, the
// rule of each half, what nearly matched, and an edit if one is known; then the summary.
func (r *Report) WriteHuman(w io.Writer, color bool) error {
	var b strings.Builder
	if err := diag.WriteHuman(&b, r.Wrong, r.Text, color); err != nil {
		return err
	}
	for i := range r.Blocks {
		block := &r.Blocks[i]
		for j := range block.Lines {
			if l := &block.Lines[j]; l.Status != Pass && !block.Test.Todo {
				if err := r.humanLine(&b, l, color); err != nil {
					return err
				}
			}
		}
		if block.Done() {
			d := block.done()
			fmt.Fprintf(&b, "%s: %s: %s\n", d.Span, d.Summary, d.Help)
		}
	}
	b.WriteString(r.Summary() + "\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *Report) humanLine(b *strings.Builder, l *Line, color bool) error {
	if err := diag.WriteHuman(b, diag.List{l.diagnostic()}, r.Text, color); err != nil {
		return err
	}
	for d, h := range l.halves() {
		fmt.Fprintf(b, "  %s: %s: %s\n", h.Source, d, h)
		if at, ok := r.span(h.Source); ok {
			b.WriteString(diag.Excerpt(r.Text(h.Source.File), at, color))
		}
	}
	for _, near := range l.Near {
		fmt.Fprintf(b, "  near: %s\n", shown(near))
	}
	if l.Edit != nil {
		fmt.Fprintf(b, "  edit: %s: %s; the line passes then, and no other fails\n%s", l.Edit.Span, l.Edit.Says, l.Edit.diff(r.Text, "    "))
	}
	return nil
}

// diff shows the lines that an edit changes, before and after, each behind an indent.
func (e *Edit) diff(text func(string) []byte, indent string) string {
	before := string(text(e.Span.File))
	if e.Span.End.Offset > len(before) {
		return ""
	}
	start := strings.LastIndexByte(before[:e.Span.Start.Offset], '\n') + 1
	end := len(before)
	if i := strings.IndexByte(before[e.Span.End.Offset:], '\n'); i >= 0 {
		end = e.Span.End.Offset + i
	}
	after := before[start:e.Span.Start.Offset] + e.Text + before[e.Span.End.Offset:end]
	var b strings.Builder
	for line := range strings.SplitSeq(before[start:end], "\n") {
		if !strings.Contains("\n"+after+"\n", "\n"+line+"\n") {
			fmt.Fprintf(&b, "%s- %s\n", indent, shown(line))
		}
	}
	for line := range strings.SplitSeq(after, "\n") {
		mark := "+"
		if strings.Contains("\n"+before[start:end]+"\n", "\n"+line+"\n") {
			mark = " "
		}
		fmt.Fprintf(&b, "%s%s %s\n", indent, mark, shown(line))
	}
	return b.String()
}
