// SPDX-License-Identifier: Apache-2.0

package diag

import "fmt"

// Pos is a place in a text: Line and Column count from 1, columns in code points; Offset counts
// bytes from 0.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Offset int `json:"offset"`
}

// Span is a half-open piece of a file; File is the path as it was given. The zero Span is no place.
type Span struct {
	File  string `json:"file"`
	Start Pos    `json:"start"`
	End   Pos    `json:"end"`
}

// IsZero reports whether s is no place: what is told concerns no file.
func (s Span) IsZero() bool { return s == Span{} }

// String returns "file:line:column" of the start.
func (s Span) String() string { return fmt.Sprintf("%s:%d:%d", s.File, s.Start.Line, s.Start.Column) }
