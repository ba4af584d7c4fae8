// SPDX-License-Identifier: Apache-2.0

package format

import (
	"bytes"
	"strings"
)

const (
	width = 100 // columns of a line
	step  = 2   // of indentation
	hang  = 2 * step
	slack = 40 // columns of white space that alignment may put behind a cell
)

// line is one line of the result. A row has cells, which align turns into its text.
type line struct {
	blank   bool // an empty line stands before it
	indent  int
	text    string
	cells   []string
	row     row
	comment string // behind it
}

// printer collects lines.
type printer struct {
	lines []line
}

func (p *printer) add(l line) { p.lines = append(p.lines, l) }

// bytes returns the text.
func (p *printer) bytes() []byte {
	var b bytes.Buffer
	b.Grow(width / 2 * len(p.lines))
	for i, l := range p.lines {
		if l.blank && i > 0 {
			b.WriteByte('\n')
		}
		text := l.text
		if l.comment != "" {
			text += " " + l.comment
		}
		b.WriteString(strings.Repeat(" ", l.indent))
		b.WriteString(strings.TrimRight(text, " "))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// file prints a whole file, its end included.
func (p *printer) file(ps []piece) {
	end := len(ps) - 1
	apart := false // the declaration before wants an empty line behind it
	for i, it := range split(ps[:end], beginsDecl) {
		start := len(p.lines)
		p.decl(it)
		large := p.lines[len(p.lines)-1].text == "}"
		if i > 0 && (apart || large) {
			p.setApart(start)
		}
		apart = large || it.body[0].text() == "package"
	}
	p.comments(ps[end], 0, true)
}

// setApart puts an empty line before the declaration that begins at a line, unless one stands
// between its comments.
func (p *printer) setApart(start int) {
	for i := start; i < len(p.lines); i++ {
		if p.lines[i].blank {
			return
		}
		if !strings.HasPrefix(p.lines[i].text, "#") {
			break
		}
	}
	p.lines[start].blank = true
}

// decl prints one declaration.
func (p *printer) decl(it item) {
	switch it.body[0].text() {
	case "policy":
		p.braces(it, 0, beginsBlock, p.block)
	case "test", "todo":
		p.braces(it, 0, beginsLine, p.line)
	case "prove":
		if !p.oneLine(it, 0, rowOther) {
			p.braces(it, 0, beginsLine, p.line)
		}
	default:
		blank := p.head(it, 0)
		p.statement(it.body, 0, declRow(it.body), blank)
	}
}

// block prints a block of a policy.
func (p *printer) block(it item, indent int) {
	if len(it.body) < 2 || it.body[1].text() != "{" {
		blank := p.head(it, indent)
		p.statement(it.body, indent, rowOther, blank)
		return
	}
	if !p.oneLine(it, indent, rowBlock) {
		p.braces(it, indent, beginsRule, p.line)
	}
}

// line prints a rule or a line of a test or proof.
func (p *printer) line(it item, indent int) {
	blank := p.head(it, indent)
	p.statement(it.body, indent, lineRow(it.body), blank)
}

// oneLine prints an item with braces on one line if they hold one thing, without comments and
// annotations, and there is room.
func (p *printer) oneLine(it item, indent int, r row) bool {
	open, end := index(it.body, 0, "{"), len(it.body)-1
	begins := beginsLine
	if r == rowBlock {
		begins = beginsRule
	}
	if _, ok := fits(it.body, indent); !ok || open >= end {
		return false
	}
	if inner := split(it.body[open+1:end], begins); len(inner) != 1 || len(inner[0].notes) > 0 {
		return false
	}
	blank := p.head(it, indent)
	p.statement(it.body, indent, r, blank)
	return true
}

// braces prints an item with what its braces hold on lines of its own.
func (p *printer) braces(it item, indent int, begins func([]piece, int) bool, each func(item, int)) {
	blank := p.head(it, indent)
	open, end := index(it.body, 0, "{"), len(it.body)-1
	p.fill(it.body[:open+1], indent, indent+hang, blank)
	first := len(p.lines)
	for _, inner := range split(it.body[open+1:end], begins) {
		each(inner, indent+step)
	}
	p.comments(it.body[end], indent+step, true)
	if len(p.lines) > first {
		p.lines[first].blank = false
	}
	p.add(line{indent: indent, text: "}"})
}

// head prints the comments and annotations of an item and reports whether an empty line stands
// before its body.
func (p *printer) head(it item, indent int) (blank bool) {
	p.comments(it.first(), indent, true)
	blank = it.first().blank
	if len(it.notes) == 0 {
		return blank
	}
	var all []piece
	for _, n := range it.notes {
		all = append(all, n...)
	}
	if text, ok := fits(all, indent); ok {
		p.add(line{indent: indent, text: text, row: rowBetween, blank: blank})
	} else {
		for i, n := range it.notes {
			if i > 0 {
				p.comments(n[0], indent, false)
			}
			p.fill(n, indent, indent+hang, blank && i == 0)
		}
	}
	p.comments(it.body[0], indent, false)
	return false
}

// comments prints the comments before a piece: one that is not own behind the line before, the
// others on lines of their own, with their empty lines if those are wanted.
func (p *printer) comments(pc piece, indent int, blanks bool) {
	for _, c := range pc.lead {
		if !c.own && len(p.lines) > 0 {
			p.lines[len(p.lines)-1].comment = c.text
			continue
		}
		p.add(line{indent: indent, text: c.text, row: rowBetween, blank: c.blank && blanks})
	}
}
