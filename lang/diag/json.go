// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"encoding/json"
	"fmt"
	"io"
)

type jsonDiagnostic struct {
	Code      Code          `json:"code"`
	Severity  Severity      `json:"severity"`
	File      string        `json:"file"`
	Line      int           `json:"line"`
	Column    int           `json:"column"`
	EndLine   int           `json:"end_line"`
	EndColumn int           `json:"end_column"`
	Summary   string        `json:"summary"`
	Help      string        `json:"help"`
	Related   []jsonRelated `json:"related"`
}

type jsonRelated struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Summary string `json:"summary"`
}

// WriteJSON writes one object a line for each diagnostic. Lines and columns count from 1, columns
// in code points; the end is exclusive. What is no place has an empty file and zeros.
func WriteJSON(w io.Writer, l List) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, d := range l {
		j := jsonDiagnostic{
			Code: d.Code, Severity: d.Severity, File: d.Span.File,
			Line: d.Span.Start.Line, Column: d.Span.Start.Column,
			EndLine: d.Span.End.Line, EndColumn: d.Span.End.Column,
			Summary: d.Summary, Help: d.Help, Related: []jsonRelated{},
		}
		for _, r := range d.Related {
			j.Related = append(j.Related, jsonRelated{r.Span.File, r.Span.Start.Line, r.Span.Start.Column, r.Summary})
		}
		if err := enc.Encode(j); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}
