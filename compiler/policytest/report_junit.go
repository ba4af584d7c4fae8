// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"mpol/lang/diag"
)

// The parts of the JUnit report; the names are those of Jenkins' schema.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitProblem `xml:"skipped"`
		Error   *junitProblem `xml:"error"`
		Failure *junitProblem `xml:"failure"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes a JUnit XML report: a suite a test, a case a line. What a todo test does not
// fulfil is skipped.
func (r *Report) WriteJUnit(w io.Writer) error {
	t := r.tally()
	all := junitSuites{Name: "mpol", Tests: t.Lines, Failures: t.Failed, Errors: t.Unclear, Time: seconds(r.Elapsed)}
	if r.Wrong.HasErrors() {
		s := r.wrongSuite()
		all.Tests, all.Errors, all.Suites = s.Tests, s.Errors, []junitSuite{s}
	}
	for _, b := range r.Blocks {
		s := junitSuite{Name: xmlText(b.Test.Package + ": " + b.Test.Name), Tests: len(b.Lines), Time: seconds(b.Elapsed)}
		for _, l := range b.Lines {
			c := junitCase{
				Name: xmlText(fmt.Sprintf("%d: %s", l.Span.Start.Line, r.written(l.Span))), Class: xmlText(l.Span.File), Time: seconds(0),
			}
			switch {
			case l.Status == Pass:
			case b.Test.Todo:
				c.Skipped = &junitProblem{Message: "to do: " + xmlText(l.Summary)}
				s.Skipped++
			default:
				problem, err := r.junitProblem(&l)
				if err != nil {
					return err
				}
				if l.Status == Fail {
					c.Failure = problem
					s.Failures++
				} else {
					c.Error = problem
					s.Errors++
				}
			}
			s.Cases = append(s.Cases, c)
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitProblem says of a line that did not pass all that people are told.
func (r *Report) junitProblem(l *Line) (*junitProblem, error) {
	var body strings.Builder
	if err := r.humanLine(&body, l, false); err != nil {
		return nil, err
	}
	return &junitProblem{Message: xmlText(l.Summary), Type: string(l.diagnostic().Code), Text: xmlText(body.String())}, nil
}

// wrongSuite has a case for each error of the policies.
func (r *Report) wrongSuite() junitSuite {
	s := junitSuite{Name: "policies", Time: seconds(0)}
	for _, d := range r.Wrong {
		if d.Severity == diag.Error {
			s.Tests, s.Errors = s.Tests+1, s.Errors+1
			s.Cases = append(s.Cases, junitCase{
				Name: xmlText(d.Span.String()), Class: xmlText(d.Span.File), Time: seconds(0),
				Error: &junitProblem{Message: xmlText(d.Summary), Type: string(d.Code), Text: xmlText(d.Help)},
			})
		}
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// xmlText replaces what no XML 1.0 text may hold.
func xmlText(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' || c == '\n' || c >= ' ' && c != 0xfffe && c != 0xffff {
			return c
		}
		return utf8.RuneError
	}, s)
}
