// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"mpol/lang/diag"
)

// jsonLine is a line of a test in JSON: docs/schemas/test.schema.json.
type jsonLine struct {
	Test     string     `json:"test"`
	File     string     `json:"file"`
	Line     int        `json:"line"`
	Text     string     `json:"text"`
	Status   string     `json:"status"` // pass, fail, error
	Todo     bool       `json:"todo"`
	Expected string     `json:"expected"`
	Summary  string     `json:"summary"`
	Help     string     `json:"help"`
	Halves   []jsonHalf `json:"halves"`
	Near     []string   `json:"near"`
	Edit     *jsonEdit  `json:"edit"`
}

type jsonHalf struct {
	Half    string `json:"half"`
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"`
	File    string `json:"file"`
	Line    int    `json:"line"`
}

type jsonEdit struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// End is where what Text replaces ends, exclusive.
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	Text      string `json:"text"`
	Says      string `json:"says"`
}

// WriteJSON writes one object a line for each line of the tests, those that passed too; where the
// policies are wrong, one for each diagnostic.
func (r *Report) WriteJSON(w io.Writer) error {
	if err := diag.WriteJSON(w, r.Wrong); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, b := range r.Blocks {
		for _, l := range b.Lines {
			j := jsonLine{
				Test: b.Test.Name, File: l.Span.File, Line: l.Span.Start.Line, Text: r.written(l.Span), Status: l.Status.String(),
				Todo: b.Test.Todo, Expected: l.Want, Summary: l.Summary, Help: l.Help, Halves: []jsonHalf{}, Near: []string{},
			}
			j.Near = append(j.Near, l.Near...)
			for d, h := range l.halves() {
				j.Halves = append(j.Halves, jsonHalf{d.String(), h.Verdict, h.Rule, h.Source.File, h.Source.Line})
			}
			if e := l.Edit; e != nil {
				j.Edit = &jsonEdit{
					e.Span.File, e.Span.Start.Line, e.Span.Start.Column, e.Span.End.Line, e.Span.End.Column, e.Text, e.Says,
				}
			}
			if err := enc.Encode(j); err != nil {
				return fmt.Errorf("write report: %w", err)
			}
		}
	}
	return nil
}

// The parts of GitLab's code quality report; the names are those of GitLab.
type (
	gitlabIssue struct {
		Description string         `json:"description"`
		CheckName   string         `json:"check_name"`
		Fingerprint string         `json:"fingerprint"`
		Severity    string         `json:"severity"`
		Location    gitlabLocation `json:"location"`
	}
	gitlabLocation struct {
		Path  string      `json:"path"`
		Lines gitlabLines `json:"lines"`
	}
	gitlabLines struct {
		Begin int `json:"begin"`
	}
)

// WriteGitLab writes the diagnostics of the run as a code quality report of GitLab. Fingerprints are made
// of the test and the text, so that an issue keeps its identity when its line moves.
func (r *Report) WriteGitLab(w io.Writer) error {
	issues := []gitlabIssue{}
	seen := map[string]int{}
	add := func(d diag.Diagnostic, key string) {
		key = d.Span.File + "\x00" + key
		seen[key]++
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", key, seen[key]))
		severity := "major"
		if d.Severity == diag.Warning {
			severity = "minor"
		}
		issues = append(issues, gitlabIssue{
			Description: d.Summary, CheckName: string(d.Code), Fingerprint: hex.EncodeToString(sum[:]), Severity: severity,
			Location: gitlabLocation{d.Span.File, gitlabLines{d.Span.Start.Line}},
		})
	}
	for _, d := range r.Wrong {
		add(d, string(d.Code)+"\x00"+d.Summary)
	}
	for _, b := range r.Blocks {
		if b.Done() {
			add(b.done(), b.Test.Name)
		}
		for _, l := range b.Lines {
			if l.Status == Pass || b.Test.Todo {
				continue
			}
			add(l.diagnostic(), b.Test.Name+"\x00"+r.written(l.Span))
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(issues); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
