// SPDX-License-Identifier: Apache-2.0

package lang

// test reads a test block line by line.
func (p *parser) test(lo, hi int) Decl {
	d := &Test{}
	open := p.find(lo, hi, "{")
	if h := read(p, p.grammar.test, lo, min(open+1, hi)); h != nil {
		d.Name = h.Name
	} else {
		d.Broken = true
		if lo+1 < hi && IsString(p.toks[lo+1]) {
			d.Name = p.toks[lo+1]
		}
	}
	if open >= hi {
		d.Tokens = p.toks[lo:hi]
		return d
	}
	starts, end, closed := p.parts(open+1, hi, p.beginsLine)
	if end > open+1 && (len(starts) == 0 || starts[0] > open+1) && !p.invalid(open, end) {
		p.expected(open+1, "`given`, `allow` or `deny`", "")
		d.Broken = true
	}
	for n, i := range starts {
		stop := end
		if n+1 < len(starts) {
			stop = starts[n+1]
		}
		p.line(d, i, stop)
	}
	if !closed && end < hi {
		if !p.invalid(open, hi) {
			p.expected(end, "", "")
		}
		d.Broken, d.Tokens = true, p.toks[lo:end]
		return d
	}
	d.Broken = p.close(open, end, hi) || d.Broken
	d.Tokens = p.toks[lo:min(end+1, hi)]
	return d
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
	if i := p.unsupportedInTest(lo, hi); i >= 0 && !p.invalid(lo, hi) {
		p.notSupported(i)
		d.Broken = true
		return
	}
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

// unsupportedInTest returns the place of the first word of a line that this version does not know,
// -1 when there is none.
func (p *parser) unsupportedInTest(lo, hi int) int {
	given := p.toks[lo].Value == "given"
	for i := lo; i < hi; i++ {
		t := p.toks[i]
		switch {
		case p.prev(i).Value == "." || p.toks[i+1].Value == ".":
		case t.Type == tokenKeyword && (t.Value == "via" || t.Value == "grpc" || t.Value == "pass" || t.Value == "todo"):
			return i
		case t.Type == tokenKeyword && t.Value == "dns" && !given:
			return i
		case t.Type == tokenIdent && (t.Value == "header" || t.Value == "upgrade") && p.followsRequest(lo, i):
			return i
		case t.Value == "any" && p.toks[i+1].Type == tokenString:
			return i // a request of every method
		}
	}
	return -1
}

// followsRequest reports whether token i stands behind the string of a request.
func (p *parser) followsRequest(lo, i int) bool {
	return i > lo && p.toks[i-1].Type == tokenString && p.toks[i+1].Type == tokenString
}
