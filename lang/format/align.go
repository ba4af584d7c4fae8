// SPDX-License-Identifier: Apache-2.0

package format

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// align gives each row its text. Rows are aligned with their neighbours of the same kind. An empty
// line or another kind ends that; comments, annotations and the items of a part in braces do not.
func (p *printer) align() {
	var run []*line
	for i := range p.lines {
		l := &p.lines[i]
		other := len(run) > 0 && l.row != rowBetween && (l.row != run[0].row || l.indent != run[0].indent)
		if l.row != rowInside && (l.blank || other) {
			alignRun(run)
			run = nil
		}
		if len(l.cells) > 0 {
			run = append(run, l)
		}
	}
	alignRun(run)
}

// alignRun aligns neighbours column by column, those that have it, and then their comments.
func alignRun(run []*line) {
	for _, l := range run {
		l.text = l.cells[0]
	}
	for column := 1; ; column++ {
		rows := those(run, func(l *line) bool { return len(l.cells) > column })
		if len(rows) == 0 {
			break
		}
		pad(rows, func(l *line) int { return rest(l, column) })
		for _, l := range rows {
			if l.text != "" {
				l.text += " "
			}
			l.text += l.cells[column]
		}
	}
	if rows := those(run, func(l *line) bool { return l.comment != "" }); len(rows) > 0 {
		pad(rows, func(*line) int { return 0 })
	}
}

// those returns the rows that have a property.
func those(run []*line, has func(*line) bool) []*line {
	var rows []*line
	for _, l := range run {
		if has(l) {
			rows = append(rows, l)
		}
	}
	return rows
}

// rest returns the columns that a row needs from one of its cells on.
func rest(l *line, column int) int {
	n := 0
	for _, c := range l.cells[column:] {
		n += 1 + utf8.RuneCountInString(c)
	}
	return n
}

// pad widens the texts of rows to one width: the largest that leaves every row that it widens room for
// its rest and is no more than slack wider than the narrowest. What is wider still stays as it is.
func pad(rows []*line, rest func(*line) int) {
	var widths []int
	for _, l := range rows {
		if n := utf8.RuneCountInString(l.text); !slices.Contains(widths, n) {
			widths = append(widths, n)
		}
	}
	narrowest := slices.Min(widths)
	slices.Sort(widths)
	for _, w := range slices.Backward(widths) {
		tight := func(l *line) bool { return utf8.RuneCountInString(l.text) <= w && l.indent+w+rest(l) > width }
		if w > narrowest && (w-narrowest > slack || slices.ContainsFunc(rows, tight)) {
			continue
		}
		for _, l := range rows {
			l.text += strings.Repeat(" ", max(0, w-utf8.RuneCountInString(l.text)))
		}
		return
	}
}
