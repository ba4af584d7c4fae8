// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"slices"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// Lost are the names that may have been declared by what could not be read, so that their use is no
// further mistake. A key is a name or, where a declaration has lost its name, the word for its kind; nil
// holds nothing.
type Lost map[string]bool

// LostParty is the kind of a party of a test that has lost its name.
const LostParty = "given"

// Has reports whether a name may be lost, of a declaration that begins with one of kinds or in any way.
func (l Lost) Has(name string, kinds ...string) bool {
	return l[name] || slices.ContainsFunc(kinds, func(k string) bool { return l[k] })
}

func (l *Lost) add(name string) {
	if *l == nil {
		*l = Lost{}
	}
	(*l)[name] = true
}

// declares are the words that begin a declaration of a name.
func declares(word string) bool {
	switch word {
	case "package", "import", "workload", "cidrs", "domains", "service", "resolver", "tier", "policy":
		return true
	}
	return false
}

// lose notes in f which names the tokens of [lo, hi), a declaration with a mistake, may have been meant to
// declare outside of braces, and returns those inside.
func (p *parser) lose(f *File, lo, hi int) (inside Lost) {
	depth := 0
	for i := lo; i < hi; i++ {
		switch t := p.toks[i]; {
		case t.Value == "{":
			depth++
		case t.Value == "}":
			depth = max(0, depth-1)
		case depth > 0 || t.Value == LostParty:
			p.loseParty(&inside, i)
		case t.Value == "default" && p.prev(i).Type != tokenNumber && p.prev(i).Value != "order" && p.prev(i-1).Value != "order", // of no tier
			(t.Value == "allow" || t.Value == "deny") && p.aloneOnLine(i):
			f.Lost.add("default")
		case t.Type == tokenIdent && (p.next(i).Value == "allow" || p.next(i).Value == "deny") && diag.Nearest(t.Value, []string{"default"}) != "":
			f.Lost.add("default")
		case declares(t.Value) && t.Type == tokenKeyword && p.nameless(i):
			f.Lost.add(t.Value)
		case t.Type == tokenIdent && p.likeName(i):
			f.Lost.add(t.Value)
		}
	}
	return inside
}

// nameless reports whether the declaration that begins at token i has no name, not even a reserved word.
func (p *parser) nameless(i int) bool {
	next := p.next(i)
	if next.Type == tokenKeyword && next.Pos.Line == p.toks[i].Pos.Line {
		goes := p.next(i+1).Value != next.Value // else the word stands for the name
		return goes && (p.toks[i].Value == "policy" && next.Value == "for" || p.toks[i].Value == "tier" && next.Value == "order")
	}
	return next.Type != tokenIdent
}

// likeName reports whether token i, a name, stands as that of a declaration does: before what follows
// such a name, or beside the word that begins one.
func (p *parser) likeName(i int) bool {
	prev, next := p.prev(i), p.next(i)
	switch next.Value {
	case "=", "for", "order":
		return true
	}
	return p.aloneOnLine(i) || prev.Type == tokenKeyword && declares(prev.Value) || next.Type == tokenKeyword && declares(next.Value)
}

// aloneOnLine reports whether token i has its line for itself.
func (p *parser) aloneOnLine(i int) bool {
	return p.firstOnLine(i) && (p.next(i).Type == lexer.EOF || p.next(i).Pos.Line > p.toks[i].Pos.Line)
}

// loseParty notes what token i says of a party of a test.
func (p *parser) loseParty(l *Lost, i int) {
	t, next := p.toks[i], p.next(i)
	switch {
	case t.Type == tokenIdent && (next.Value == "=" || p.prev(i).Value == LostParty || next.Value == LostParty):
		l.add(t.Value)
	case t.Value == LostParty && next.Type != tokenIdent && next.Value != "dns":
		l.add(LostParty)
	}
}
