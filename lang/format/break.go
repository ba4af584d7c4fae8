// SPDX-License-Identifier: Apache-2.0

package format

import (
	"slices"
	"unicode/utf8"

	"mpol/lang"
)

// statement prints pieces that belong on one line, or breaks them where there is a comment between
// them or no room. The comments of the first are printed already.
func (p *printer) statement(ps []piece, indent int, r row, blank bool) {
	_, ok := fits(ps, indent)
	open := index(ps, 0, "{")
	equals := index(ps, 0, "=")
	switch {
	case ok:
		p.add(line{indent: indent, cells: cells(ps, r), row: r, blank: blank})
	case open < len(ps):
		p.part(ps, open, indent, r, blank)
	case r == rowDefinition && equals < len(ps):
		p.definition(ps, equals, indent, blank)
	default:
		p.fill(ps, indent, indent+hang, blank)
	}
}

// definition prints a definition with one item a line behind its =.
func (p *printer) definition(ps []piece, equals, indent int, blank bool) {
	p.fill(ps[:equals+1], indent, indent+hang, blank)
	depth := depths(ps)
	for lo := equals + 1; lo < len(ps); {
		hi := lo + 1
		for hi < len(ps) && !(depth[hi] == 0 && (ps[hi-1].text() == "," || slices.Contains([]string{"and", "or", "except", "on", "for"}, ps[hi].text()))) {
			hi++
		}
		p.member(ps[lo:hi], indent+step)
		lo = hi
	}
}

// part prints a rule or line whose part in braces begins at open, with one item of it a line. If
// what stands before the items fits on a line, that line is a row like its neighbours.
func (p *printer) part(ps []piece, open, indent int, r row, blank bool) {
	end := index(ps, open, "}")
	if _, ok := fits(ps[:open+1], indent); ok {
		p.add(line{indent: indent, cells: cells(ps[:open+1], r), row: r, blank: blank})
		defer p.inside(len(p.lines))
	} else {
		p.fill(ps[:open+1], indent, indent+hang, blank)
	}
	list := members(ps[open+1:end], ps[max(open-1, 0)].text())
	for i, m := range list {
		if i == len(list)-1 {
			m = append(slices.Clone(m), piece{token: &lang.Token{Value: ","}})
		}
		p.member(m, indent+step)
	}
	p.comments(ps[end], indent+step, true)
	p.fill(ps[end:], indent, indent+hang, false)
}

// inside makes the lines from one on part of the row before them.
func (p *printer) inside(from int) {
	for i := range p.lines[from:] {
		p.lines[from+i].row = rowInside
	}
}

// member prints one item of a list that has one a line.
func (p *printer) member(ps []piece, indent int) {
	p.comments(ps[0], indent, true)
	p.fill(ps, indent, indent+hang, ps[0].blank)
}

// fill prints pieces on as many lines as it takes, all but the first at hanging.
func (p *printer) fill(ps []piece, indent, hanging int, blank bool) {
	var text []byte
	at := indent
	flush := func() {
		if len(text) > 0 {
			p.add(line{indent: at, text: string(text), blank: blank})
		}
		text, at, blank = text[:0], hanging, false
	}
	for lo := 0; lo < len(ps); {
		hi := lo + 1
		for hi < len(ps) && !breaksBefore(ps, hi) {
			hi++
		}
		if unit := flat(ps[lo:hi]); len(text) > 0 && at+utf8.RuneCount(text)+1+utf8.RuneCountInString(unit) > width {
			flush()
		}
		for ; lo < hi; lo++ {
			if lo > 0 && len(ps[lo].lead) > 0 {
				flush()
				p.comments(ps[lo], hanging, false)
			}
			if len(text) > 0 && spaced(ps, lo) {
				text = append(text, ' ')
			}
			text = append(text, ps[lo].text()...)
		}
	}
	flush()
}

// breaksBefore reports whether a full line may end before ps[i].
func breaksBefore(ps []piece, i int) bool {
	switch ps[i].text() {
	case "and", "or", "except", "from", "to", "on", "for", "via", "private", "http", "grpc", "dns", "tls", "reject", "log", "order",
		"sni", "header", "upgrade", "types", "by", "at":
		return ps[i-1].text() != "."
	case "host":
		return lang.IsString(*ps[i-1].token)
	}
	return ps[i-1].text() == ","
}
