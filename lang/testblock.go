// SPDX-License-Identifier: Apache-2.0

package lang

// test reads a test block line by line.
func (p *parser) test(lo, hi int) Decl {
	d := &Test{Todo: p.toks[lo].Value == "todo"}
	open := p.find(lo, hi, "{")
	if h := read(p, p.grammar.test, lo, min(open+1, hi)); h != nil {
		d.Name = h.Name
	} else {
		d.Broken, d.Name = true, p.stringAfter(p.find(lo, hi, "test"), hi)
	}
	p.lines(&d.Head, lo, open, hi, p.beginsLine, "`given`, `allow` or `deny`", func(lo, hi int) { p.line(d, lo, hi) })
	return d
}

// prove reads a prove block line by line.
func (p *parser) prove(lo, hi int) Decl {
	d := &Prove{}
	open := p.find(lo, hi, "{")
	if h := read(p, p.grammar.prove, lo, min(open+1, hi)); h != nil {
		d.Name = h.Name
	} else {
		d.Broken, d.Name = true, p.stringAfter(lo, hi)
	}
	begins := func(i, depth int) bool {
		return depth == 0 && (p.toks[i].Value == "never" || p.toks[i].Value == "always")
	}
	p.lines(&d.Head, lo, open, hi, begins, "`never` or `always`", func(lo, hi int) {
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

// lines reads what stands in the braces of a declaration that begins at lo, a line each.
func (p *parser) lines(d *Head, lo, open, hi int, begins func(int, int) bool, want string, line func(lo, hi int)) {
	if open >= hi {
		d.Tokens = p.toks[lo:hi]
		return
	}
	starts, end, closed := p.parts(open+1, hi, begins)
	if end > open+1 && (len(starts) == 0 || starts[0] > open+1) && !p.invalid(open, end) {
		p.expected(open+1, want, "")
		d.Broken = true
	}
	for n, i := range starts {
		stop := end
		if n+1 < len(starts) {
			stop = starts[n+1]
		}
		line(i, stop)
	}
	if !closed && end < hi {
		if !p.invalid(open, hi) {
			p.expected(end, "", "")
		}
		d.Broken, d.Tokens = true, p.toks[lo:end]
		return
	}
	d.Broken = p.close(open, end, hi) || d.Broken
	d.Tokens = p.toks[lo:min(end+1, hi)]
}

// beginsLine reports whether a line of a test begins at i.
func (p *parser) beginsLine(i, depth int) bool {
	prev := p.prev(i)
	if depth > 0 && p.toks[i].Value != "given" {
		return false
	}
	switch p.toks[i].Value {
	case "given", "allow", "deny":
		return prev.Value != "@" && prev.Value != "."
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
	if l := read(p, p.grammar.line, lo, hi); l != nil {
		d.Lines = append(d.Lines, l)
		return
	}
	d.Broken = true
}
