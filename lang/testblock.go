// SPDX-License-Identifier: Apache-2.0

package lang

// test reads a test block line by line.
func (p *parser) test(lo, hi int) Decl {
	d := &Test{Todo: p.toks[lo].Value == "todo"}
	begins := func(i int) bool { return p.beginsLine(i, 0) }
	open, body := p.header(lo, hi, begins)
	if h := read(p, p.grammar.test, lo, body); h != nil {
		d.Name = h.Name
	} else {
		name := lo
		if d.Todo && p.next(lo).Value == "test" {
			name++
		}
		d.Broken, d.Name = true, p.stringAfter(name, hi)
	}
	p.lines(&d.Head, blockOfLines{lo, open, body, hi, p.beginsLine, aTestLine, formOf((*Line)(nil))},
		func(lo, hi int) { p.line(d, lo, hi) })
	return d
}

// prove reads a prove block line by line.
func (p *parser) prove(lo, hi int) Decl {
	d := &Prove{}
	begins := func(i, depth int) bool {
		return (depth == 0 || p.firstOnLine(i)) && (p.toks[i].Value == "never" || p.toks[i].Value == "always") && p.prev(i).Value != "."
	}
	open, body := p.header(lo, hi, func(i int) bool { return begins(i, 0) })
	if h := read(p, p.grammar.prove, lo, body); h != nil {
		d.Name = h.Name
	} else {
		d.Broken, d.Name = true, p.stringAfter(lo, hi)
	}
	p.lines(&d.Head, blockOfLines{lo, open, body, hi, begins, aClaim, formOf((*Claim)(nil))}, func(lo, hi int) {
		if c := read(p, p.grammar.claim, lo, hi); c != nil {
			d.Claims = append(d.Claims, c)
			return
		}
		d.Broken = true
	})
	return d
}

// stringAfter returns the string behind token i, the zero token when there is none.
func (p *parser) stringAfter(i, hi int) Token {
	if i+1 < hi && IsString(p.toks[i+1]) {
		return p.toks[i+1]
	}
	return Token{}
}

// blockOfLines is a declaration of tokens [lo, hi) with lines in its braces: open is its brace, -1 when that
// is missing, body what follows. Lines begin where begins says; want and form say how.
type blockOfLines struct {
	lo, open, body, hi int
	begins             func(i, depth int) bool
	want, form         string
}

// lines reads what stands in the braces of a declaration, a line each.
func (p *parser) lines(d *Head, b blockOfLines, line func(lo, hi int)) {
	end, closed := b.body, false
	for from := b.body; from < b.hi; from = end + 1 {
		if p.toks[from].Value == "{" {
			p.expected(from, b.want, "remove one of the braces")
			d.Broken, p.extra = true, true
			from++
		}
		var starts []int
		starts, end, closed = p.parts(from, b.hi, 1, b.begins, func(int) bool { return false })
		if end > from && (len(starts) == 0 || starts[0] > from) && !p.invalid(from, end) {
			p.expected(from, b.want, b.form)
			d.Broken = true
		}
		for n, i := range starts {
			stop := end
			if n+1 < len(starts) {
				stop = starts[n+1]
			}
			line(i, stop)
		}
		if !closed || end+1 >= b.hi || !b.begins(end+1, 0) {
			break
		}
		p.outside(end+1, end, "the block")
		d.Broken = true
	}
	d.Broken = p.close(b.open, end, b.hi) || d.Broken
	d.Tokens = p.toks[b.lo:min(end+1, b.hi)]
}

// beginsLine reports whether a line of a test begins at i.
func (p *parser) beginsLine(i, depth int) bool {
	prev := p.prev(i)
	if depth > 0 && p.toks[i].Value != "given" && !p.firstOnLine(i) {
		return false
	}
	switch p.toks[i].Value {
	case "given", "allow", "deny":
		return prev.Value != "@" && prev.Value != "." && !p.late(i) && !p.negated(i-1)
	}
	return p.negated(i) || p.firstOnLine(i) && (p.next(i).Value == "->" && !p.goesOn(i-1) || p.late(i+1) || p.otherAction(i))
}

// otherAction reports whether token i is a word before the ends of a line, where allow or deny belongs.
func (p *parser) otherAction(i int) bool {
	t := p.toks[i]
	return (t.Type == tokenIdent || t.Type == tokenKeyword) && IsName(p.next(i)) && p.next(i+1).Value == "->" && !p.goesOn(i-1)
}

// late reports whether token i, the first word of a line of a test, stands behind the name that follows it.
func (p *parser) late(i int) bool {
	switch p.toks[i].Value {
	case "given", "allow", "deny":
		before, line := p.prev(i-1), p.toks[i].Pos.Line
		begins := before.Pos.Line < line && (before.Value == "{" || p.prev(i-2).Value == "." || !p.goesOn(i-2))
		return begins && IsName(p.prev(i)) && p.prev(i).Pos.Line == line
	}
	return false
}

// line reads one line into d.
func (p *parser) line(d *Test, lo, hi int) {
	if p.toks[lo].Value == "given" {
		if g := read(p, p.grammar.given, lo, hi); g != nil {
			d.Givens = append(d.Givens, g)
			return
		}
		// The name is kept, so that lines which use it are not reported too.
		if t := p.nameAfter(lo, hi); IsName(t) {
			d.Givens = append(d.Givens, &Given{Node: Node{Tokens: p.toks[lo:hi]}, Name: &t})
		}
		d.Broken = true
		return
	}
	if p.next(lo).Value == "->" || p.late(lo+1) {
		p.expected(lo, aTestLine, formOf((*Line)(nil)))
		d.Broken = true
		return
	}
	if l := read(p, p.grammar.line, lo, hi); l != nil {
		d.Lines = append(d.Lines, l)
		return
	}
	d.Broken = true
}
