// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"slices"

	"github.com/alecthomas/participle/v2/lexer"
)

// declStarts returns where declarations begin, annotations included. A word that begins one does
// so outside of braces, or inside, where a } is missing, first on its line.
func (p *parser) declStarts() []int {
	var starts []int
	var first *lexer.Token
	depth := 0
	for i, t := range p.toks {
		switch t.Value {
		case "{":
			depth++
		case "}":
			depth = max(depth-1, 0)
		}
		if t.Type == tokenKeyword && p.beginsDecl(i, depth) || depth == 0 && p.headless(i, first) {
			starts = p.startAt(starts, 0, i)
			first, depth = &p.toks[starts[0]], 0
		}
	}
	return starts
}

// headless reports whether a declaration begins at i, outside of braces, whose first word is missing or
// no word of the language; first is the first declaration, nil before it.
func (p *parser) headless(i int, first *lexer.Token) bool {
	t, prev, next := p.toks[i], p.prev(i), p.next(i)
	if t.Type != tokenIdent || prev.Value == "." || prev.Value == "@" || !p.firstOnLine(i) {
		return false
	}
	if next.Type == tokenIdent { // no two names stand side by side
		return p.next(i+1).Value != "."
	}
	return first != nil && t.Pos.Column <= first.Pos.Column && !p.goesOn(i-1) &&
		(p.likeName(i) || p.misspelt(i, "a declaration") || next.Value == "(" && IsString(p.next(i+1)))
}

// goesOn reports whether more has to follow token i, so that what stands on the next line belongs to it.
func (p *parser) goesOn(i int) bool {
	t := p.prev(i + 1) // the first token follows none
	switch t.Type {
	case tokenSymbol:
		return t.Value != ")" && t.Value != "]" && t.Value != "}"
	case tokenKeyword:
		return declares(t.Value) || slices.Contains([]string{"and", "or", "not", "has", "in", "except", "on", "for", "order", "default"}, t.Value)
	}
	return false
}

func (p *parser) beginsDecl(i, depth int) bool {
	prev := p.prev(i)
	if prev.Value == "@" || prev.Value == "." {
		return false
	}
	next := p.toks[i+1]
	shaped := false
	switch p.toks[i].Value {
	case "package", "import", "workload", "cidrs", "domains", "service", "resolver", "tier", "policy":
		if !p.firstOnLine(i) && (declares(prev.Value) && prev.Type == tokenKeyword || prev.Type == tokenIdent && p.firstOnLine(i-1)) {
			return false // a reserved word in the place of a name, or behind the name
		}
		shaped = (next.Type == tokenIdent || next.Type == tokenKeyword) && (depth > 0 || p.nameGoesOn(i))
	case "default":
		if prev.Type == tokenNumber || prev.Value == "order" || p.prev(i-1).Value == "order" || !p.firstOnLine(i) && p.headed(i, "tier") {
			return false // tier N order INT default deny
		}
		if depth > 0 && p.toks[i].Pos.Column > p.toks[0].Pos.Column {
			return false // meant as that of a policy
		}
		shaped = next.Value == "allow" || next.Value == "deny"
	case "test":
		if prev.Value == "todo" {
			return false
		}
		shaped = next.Type == tokenString
	case "prove":
		shaped = next.Type == tokenString
	case "todo":
		shaped = next.Value == "test"
	default:
		return false
	}
	first := p.firstOnLine(i)
	if depth > 0 {
		return first && shaped
	}
	return first || shaped
}

// nameGoesOn reports whether what follows the name behind token i goes on as the declaration that this
// token begins does.
func (p *parser) nameGoesOn(i int) bool {
	third := p.next(i + 1)
	switch p.toks[i].Value {
	case "package", "import":
		return true
	case "tier":
		return third.Value == "order"
	case "policy":
		return third.Value == "for"
	}
	return third.Value == "="
}

// prev returns the token before i, the zero token when there is none.
func (p *parser) prev(i int) lexer.Token {
	if i <= 0 {
		return lexer.Token{}
	}
	return p.toks[i-1]
}

// firstOnLine reports whether only annotations stand before token i on its line.
func (p *parser) firstOnLine(i int) bool {
	i = p.annotationsBefore(i)
	return i == 0 || p.toks[i-1].Pos.Line < p.toks[i].Pos.Line
}

// isRule reports whether a rule, and nothing else that begins so, begins at i, annotations included.
func (p *parser) isRule(i, hi int) bool {
	i = p.skipAnnotations(i, hi)
	next := p.next(i).Value
	switch t := p.toks[i]; {
	case t.Type == tokenLabel:
		return true
	case t.Value == "audit":
		return isAction(next)
	case isAction(t.Value):
		return next == "from" || next == "to"
	case t.Value == "resolve":
		return next == "via"
	}
	return false
}

// startAt adds the place of what begins at i, with its annotations, to starts, the first of which is not
// before lo. What was taken for a start inside of them is none.
func (p *parser) startAt(starts []int, lo, i int) []int {
	at := max(lo, p.annotationsBefore(i))
	for len(starts) > 0 && starts[len(starts)-1] >= at {
		starts = starts[:len(starts)-1]
	}
	return append(starts, at)
}

// annotationsBefore returns where the annotations that end right before token i begin.
func (p *parser) annotationsBefore(i int) int {
	for {
		j := i
		if p.prev(j).Value == ")" {
			for j--; j > 0 && p.toks[j-1].Value != ")" && p.toks[j].Value != "("; j-- {
			}
		}
		if j < 2 || p.toks[j-2].Value != "@" {
			return i
		}
		i = j - 2
	}
}

// annotationEnd returns the end of the annotation that begins at lo.
func (p *parser) annotationEnd(lo, hi int) int {
	i := min(lo+2, hi)
	if i < hi && p.toks[i].Value == "(" {
		for i < hi && p.toks[i].Value != ")" {
			i++
		}
		i = min(i+1, hi)
	}
	return i
}

func (p *parser) skipAnnotations(lo, hi int) int {
	for lo < hi-1 && p.toks[lo].Value == "@" {
		lo = p.annotationEnd(lo, hi)
	}
	return min(lo, hi-1)
}

// parts splits what stands behind a brace, one of level open ones, at begins and returns where it ends: at
// its }, closed, or at what cannot stand in it, not closed.
func (p *parser) parts(lo, hi, level int, begins func(int, int) bool, foreign func(int) bool) (starts []int, end int, closed bool) {
	depth := 0
	for i := lo; i < hi; i++ {
		t := p.toks[i]
		switch {
		case t.Value == "{" && (i == lo || p.prev(i).Value != "{"): // of two side by side one is a mistake
			depth++
		case t.Value == "}" && depth == 0:
			return starts, i, true
		case t.Value == "}":
			depth--
		case foreign(i):
			return starts, i, false
		case p.lacksBrace(i) && p.surplus(i, hi) > level:
			depth++ // its } is there
		case begins(i, depth):
			if depth > 0 && !p.firstOnLine(i) {
				continue
			}
			starts = p.startAt(starts, lo, i)
			depth = 0
		}
	}
	return starts, hi, false
}

// lacksBrace reports whether a { must follow token i and does not.
func (p *parser) lacksBrace(i int) bool {
	next, prev := p.next(i), p.prev(i)
	switch p.toks[i].Value {
	case "http":
		return next.Value != "{" && prev.Value != "@" && prev.Value != "."
	case "grpc", "dns":
		return next.Value != "{" && next.Type != tokenString && prev.Value != "@" && prev.Value != "."
	case "tls":
		return next.Value == "sni"
	case "=": // of a party
		return p.prev(i-1).Value == "given" && next.Type == tokenIdent
	}
	return false
}

// surplus returns how many more braces close than open in a range.
func (p *parser) surplus(lo, hi int) int {
	if p.closed == nil {
		p.closed = make([]int32, len(p.toks))
		for i, t := range p.toks[:len(p.toks)-1] {
			n := p.closed[i]
			switch t.Value {
			case "{":
				n--
			case "}":
				n++
			}
			p.closed[i+1] = n
		}
	}
	return int(p.closed[hi] - p.closed[lo])
}

// beginsRule reports whether a rule begins at i, its annotations left out.
func (p *parser) beginsRule(i, _ int) bool {
	prev := p.prev(i)
	switch {
	case prev.Value == "@" || prev.Value == ".":
		return false
	case p.toks[i].Type == tokenLabel && p.next(i).Type == tokenNumber && !p.firstOnLine(i):
		return false // a host with its port
	case p.toks[i].Type == tokenLabel && isAction(prev.Value) && !p.firstOnLine(i):
		return false // a label behind the word that it stands before
	case p.toks[i].Type == tokenLabel: // but for tcp:443, where a port is wanted
		return p.firstOnLine(i) || prev.Value != "on" && prev.Value != "," || !isProtocol(Text(p.toks[i]))
	case prev.Type == tokenLabel || prev.Value == "audit" || p.negated(i-1):
		return false
	case prev.Value == "default":
		return false // which no policy has
	case p.toks[i].Value == "audit" && isAction(prev.Value):
		return false // a misplaced mark
	case isAction(p.toks[i].Value) && p.behindPeers(i):
		return false // an action behind the peers
	case isAction(p.toks[i].Value) && (prev.Value == "from" || prev.Value == "to") && !p.firstOnLine(i):
		return false // a peer that is none
	}
	return p.foreignRule(i) || p.negated(i) || slices.Contains([]string{"allow", "deny", "pass", "audit", "resolve"}, p.toks[i].Value)
}

// isAction reports whether a word says what a rule does.
func isAction(word string) bool { return word == "allow" || word == "deny" || word == "pass" }

// negated reports whether token i is a not at the beginning of a line, before an action.
func (p *parser) negated(i int) bool {
	return i >= 0 && p.toks[i].Value == "not" && isAction(p.next(i).Value) && p.firstOnLine(i)
}

// behindPeers reports whether an action at token i stands behind a label and its peers.
func (p *parser) behindPeers(i int) bool {
	line := p.toks[i].Pos.Line
	for j := i - 1; j > 0 && p.toks[j].Pos.Line == line; j-- {
		switch t := p.toks[j]; {
		case t.Value == "from" || t.Value == "to":
			return p.toks[j-1].Type == tokenLabel
		case t.Type == tokenLabel, t.Value == "on", t.Value == "{", t.Value == "}", isAction(t.Value):
			return false
		}
	}
	return false
}

// foreignRule reports whether a rule begins at i with a word that other languages have in place of allow or
// deny.
func (p *parser) foreignRule(i int) bool {
	t, next := p.toks[i], p.next(i).Value
	return (t.Type == tokenIdent || t.Value == "reject") && (next == "from" || next == "to") && p.firstOnLine(i)
}
