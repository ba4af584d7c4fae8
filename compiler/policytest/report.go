// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Report is a run of tests with all that its writers need; they change nothing in it.
type Report struct {
	Blocks []Block // in the order in which they ran
	// NotRun counts the tests that were left out because one had failed.
	NotRun int
	// Seed gave the order, 0 for that of the files.
	Seed    uint64
	Elapsed time.Duration
	// Wrong is what is wrong with the policies. With an error no test ran, and WrongSummary is the
	// summary.
	Wrong        diag.List
	WrongSummary string
	// Text returns the text of a file, nil when it is not at hand.
	Text  func(file string) []byte
	whole map[start]diag.Span
}

// start is where a rule or default begins.
type start struct {
	file         string
	line, column int
}

// Block is one test with its lines.
type Block struct {
	Test    *check.Test
	Lines   []Line
	Elapsed time.Duration
}

// Line is a judged line as reports show it.
type Line struct {
	Result
	Want string // allow or deny
	// Near are the rules that would have allowed what was denied, if one thing were different.
	Near []string
	// Edit is a change of the policies with which the line passes, tried; nil if none is known.
	Edit *Edit
}

// Edit is a change of a policy: Text stands in the place of Span.
type Edit struct {
	Span diag.Span
	Text string
	// Says is the change in words.
	Says string
}

// NewReport prepares the report on blocks of a module's tests.
func NewReport(m *check.Module, text func(file string) []byte) *Report {
	r := &Report{Text: text, whole: map[start]diag.Span{}}
	if m.Default != nil {
		r.place(m.Default.Span, m.Default.Span)
	}
	for _, p := range m.Policies {
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			r.place(b.Span, b.Span)
			for _, rule := range b.Rules {
				r.place(rule.PlaceSpan, rule.Span)
			}
		}
	}
	return r
}

func (r *Report) place(at, whole diag.Span) {
	r.whole[start{at.File, at.Start.Line, at.Start.Column}] = whole
}

// NewBlock prepares the report on one test; results are those of its lines.
func (r *Report) NewBlock(t *check.Test, results []Result, elapsed time.Duration) Block {
	b := Block{Test: t, Elapsed: elapsed, Lines: make([]Line, 0, len(results))}
	for i, res := range results {
		l := Line{Result: res}
		if i < len(t.Lines) {
			l.Want = t.Lines[i].Want.String()
		}
		if res.Status == Fail && l.Want == program.Allow.String() {
			for _, d := range []program.Direction{program.Egress, program.Ingress} {
				if h := half(res.Got, d); h.Exists && !h.Allow {
					l.Near = append(l.Near, Near(res.Judge, *res.Flow, d)...)
				}
			}
		}
		b.Lines = append(b.Lines, l)
	}
	return b
}

// written returns the text of a span with its white space run together.
func (r *Report) written(s diag.Span) string {
	text := r.Text(s.File)
	if s.End.Offset > len(text) || s.Start.Offset >= s.End.Offset {
		return s.String()
	}
	return strings.Join(strings.Fields(string(text[s.Start.Offset:s.End.Offset])), " ")
}

// span returns the whole rule or default that begins at a place.
func (r *Report) span(s program.Source) (diag.Span, bool) {
	whole, ok := r.whole[start{s.File, s.Line, s.Column}]
	return whole, ok
}

// Passed reports whether every line of the test holds.
func (b *Block) Passed() bool {
	return !slices.ContainsFunc(b.Lines, func(l Line) bool { return l.Status != Pass })
}

// Failed reports whether the test makes the run fail; a todo test never does.
func (b *Block) Failed() bool { return !b.Test.Todo && !b.Passed() }

// Done reports whether a todo test passes and need not be one any longer.
func (b *Block) Done() bool { return b.Test.Todo && b.Passed() }

// Failed reports whether some test of the run failed.
func (r *Report) Failed() bool {
	return r.Wrong.HasErrors() || slices.ContainsFunc(r.Blocks, func(b Block) bool { return b.Failed() })
}

// tally counts the lines of a run. Lines of todo tests that do not hold are Todo.
type tally struct{ Tests, Lines, Passed, Failed, Unclear, Todo, Done int }

func (r *Report) tally() tally {
	t := tally{Tests: len(r.Blocks)}
	for i := range r.Blocks {
		b := &r.Blocks[i]
		t.Lines += len(b.Lines)
		if b.Done() {
			t.Done++
		}
		for _, l := range b.Lines {
			switch {
			case l.Status == Pass:
				t.Passed++
			case b.Test.Todo:
				t.Todo++
			case l.Status == Fail:
				t.Failed++
			default:
				t.Unclear++
			}
		}
	}
	return t
}

// Summary says in one line what ran and what became of it.
func (r *Report) Summary() string {
	if r.Wrong.HasErrors() {
		return r.WrongSummary
	}
	t := r.tally()
	text := fmt.Sprintf("%s, %s: %d passed", count(t.Tests, "test"), count(t.Lines, "line"), t.Passed)
	for _, more := range []struct {
		n    int
		word string
	}{{t.Failed, "failed"}, {t.Unclear, "unclear"}, {t.Todo, "to do"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.word)
		}
	}
	if r.NotRun > 0 {
		text += "; " + count(r.NotRun, "test") + " not run"
	}
	if r.Seed != 0 {
		text += fmt.Sprintf("; shuffled with seed %d", r.Seed)
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
