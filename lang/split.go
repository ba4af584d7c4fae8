// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// declStarts returns where declarations begin, annotations included. A word that begins one does
// so outside of braces, or inside, where a } is missing, first on its line.
func (p *parser) declStarts() []int {
	var starts []int
	depth := 0
	for i, t := range p.toks {
		switch t.Value {
		case "{":
			depth++
		case "}":
			depth = max(depth-1, 0)
		}
		if t.Type == tokenKeyword && p.beginsDecl(i, depth) || depth == 0 && p.misspeltDecl(i) {
			starts = append(starts, p.annotationsBefore(i))
			depth = 0
		}
	}
	return starts
}

// misspeltDecl reports whether a declaration begins at i whose first word is no word of the language:
// outside of braces no two names stand side by side.
func (p *parser) misspeltDecl(i int) bool {
	return p.toks[i].Type == tokenIdent && p.toks[i+1].Type == tokenIdent && p.prev(i).Value != "." && p.prev(i).Value != "@" && p.firstOnLine(i)
}

func (p *parser) beginsDecl(i, depth int) bool {
	prev := p.prev(i)
	if prev.Value == "@" || prev.Value == "." {
		return false
	}
	next := p.toks[i+1]
	shaped := false
	naming := []string{"package", "import", "workload", "cidrs", "domains", "service", "resolver", "tier", "policy"}
	switch p.toks[i].Value {
	case "package", "import", "workload", "cidrs", "domains", "service", "resolver", "tier", "policy":
		if !p.firstOnLine(i) && slices.Contains(naming, prev.Value) && prev.Type == tokenKeyword {
			return false // a reserved word in the place of a name
		}
		shaped = next.Type == tokenIdent || next.Type == tokenKeyword
	case "default":
		if prev.Type == tokenNumber || prev.Value == "order" || p.prev(i-1).Value == "order" {
			return false // tier N order INT default deny
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

// policy reads a policy block by block and rule by rule.
func (p *parser) policy(lo, hi int) Decl {
	d := &Policy{Name: p.nameAfter(lo, hi)}
	open := p.find(lo, hi, "{")
	if h := read(p, p.grammar.policy, lo, min(open+1, hi)); h != nil {
		d.Subject, d.Tier, d.Audit = h.Subject, h.Tier, h.Audit
	} else {
		d.Broken = true
	}
	i := open + 1
	for i < hi && p.toks[i].Value != "}" {
		next := p.block(d, i, hi)
		if next == i {
			if d.Subject != nil && !p.invalid(i, hi) { // else the brace may be that of a block
				p.expected(i, "`ingress` or `egress`", "")
			}
			d.Broken = true
			next = p.skipTo(i+1, hi)
		}
		i = next
	}
	if d.Subject != nil {
		d.Broken = p.close(open, i, hi) || d.Broken
	}
	d.Tokens = p.toks[lo:min(i+1, hi)]
	if !d.Broken && len(d.Blocks) == 0 {
		p.errorAt(diag.Empty, SpanOf(d.Name), fmt.Sprintf("policy `%s` has no block", d.Name.Value), "write an ingress or an egress block")
	}
	if !IsName(d.Name) {
		return p.other(lo, hi)
	}
	return d
}

// close checks that a declaration ends at i with the } of its open brace and reports whether it
// does not.
func (p *parser) close(open, i, hi int) bool {
	switch {
	case open >= hi || i > hi:
		return true
	case p.invalid(open, hi):
		return true
	case i == hi:
		p.missingBrace(open)
		return true
	case i+1 < hi:
		if !p.unbalanced(open, hi) {
			p.expected(i+1, "", "")
		}
		return true
	}
	return false
}

func (p *parser) missingBrace(open int) {
	p.errorAt(diag.MissingBrace, SpanOf(p.toks[open]), "this { has no }", "close it where the block ends")
}

// unclosed returns the place of the last { of a range that is never closed there, -1 when there is none.
func (p *parser) unclosed(lo, hi int) int {
	var open []int
	for i := lo; i < hi; i++ {
		switch p.toks[i].Value {
		case "{":
			open = append(open, i)
		case "}":
			open = open[:max(len(open)-1, 0)]
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[len(open)-1]
}

// unbalanced reports whether a missing } was reported behind a token.
func (p *parser) unbalanced(open, hi int) bool {
	return slices.ContainsFunc(p.diags[p.before:], func(d diag.Diagnostic) bool {
		at := d.Span.Start.Offset
		return d.Code == diag.MissingBrace && at > p.toks[open].Pos.Offset && at < p.toks[hi].Pos.Offset
	})
}

// find returns the place of the first token with a value, hi when there is none.
func (p *parser) find(lo, hi int, value string) int {
	for i := lo; i < hi; i++ {
		if p.toks[i].Value == value {
			return i
		}
	}
	return hi
}

// block reads one block that begins at i and returns where it ends; i when there is none.
func (p *parser) block(d *Policy, i, hi int) int {
	word := p.toks[i]
	if word.Value != "ingress" && word.Value != "egress" {
		return i
	}
	b := &Block{Word: word}
	d.Blocks = append(d.Blocks, b)
	next := p.toks[i+1]
	switch {
	case i+1 < hi && next.Value == "none":
		b.None = true
		b.Tokens = p.toks[i : i+2]
		return i + 2
	case i+1 >= hi || next.Value != "{":
		p.expected(i+1, "`{` or `none`", "")
		d.Broken = true
		return p.skipTo(i+1, hi)
	}
	end := p.rules(d, b, i+1, hi)
	b.Tokens = p.toks[i:min(end, hi)]
	return end
}

// rules reads the rules behind the brace at open and returns where what follows the block begins.
func (p *parser) rules(d *Policy, b *Block, open, hi int) int {
	starts, end, closed := p.parts(open+1, hi, p.beginsRule)
	if end > open+1 && (len(starts) == 0 || starts[0] > open+1) {
		if !p.invalid(open, slices.Min(append(starts, end))) {
			p.expected(open+1, "a rule", "begin it with a label, allow or deny")
		}
		d.Broken = true
	}
	for n, lo := range starts {
		stop := end
		if n+1 < len(starts) {
			stop = starts[n+1]
		}
		after := lo - 1
		if n == 0 {
			after = open - 2 // what stands before the word of the block belongs to its first rule
		}
		if p.toks[lo].Value == "resolve" {
			p.resolve(d, b, lo, stop)
			continue
		}
		b.Rules = append(b.Rules, p.rule(lo, stop, after))
	}
	if end == open+1 && closed {
		p.errorAt(diag.Empty, SpanOf(b.Word), "the block is empty", "write "+b.Word.Value+" none")
	}
	if !closed {
		d.Broken = true
		if !p.invalid(open, end) {
			p.missingBrace(open)
		}
		return end
	}
	return end + 1
}

// parts splits what stands behind a brace at begins and returns where it ends: at its }, closed, or
// at what cannot stand in it, not closed.
func (p *parser) parts(lo, hi int, begins func(int, int) bool) (starts []int, end int, closed bool) {
	depth := 0
	for i := lo; i < hi; i++ {
		t := p.toks[i]
		switch {
		case t.Value == "{":
			depth++
		case t.Value == "}" && depth == 0:
			return starts, i, true
		case t.Value == "}":
			depth--
		case (t.Value == "ingress" || t.Value == "egress") && p.prev(i).Value != "at" && p.prev(i).Value != "." && p.prev(i).Value != "@":
			return starts, i, false
		case begins(i, depth):
			if depth > 0 && !p.firstOnLine(i) {
				continue
			}
			starts = append(starts, p.annotationsBefore(i))
			depth = 0
		}
	}
	return starts, hi, false
}

// beginsRule reports whether a rule begins at i, its annotations left out.
func (p *parser) beginsRule(i, _ int) bool {
	prev := p.prev(i)
	switch {
	case prev.Value == "@" || prev.Value == ".":
		return false
	case p.toks[i].Type == tokenLabel:
		return true
	case prev.Type == tokenLabel || prev.Value == "audit":
		return false
	case p.toks[i].Value == "audit" && (prev.Value == "allow" || prev.Value == "deny" || prev.Value == "pass"):
		return false // a misplaced mark
	}
	return slices.Contains([]string{"allow", "deny", "pass", "audit", "resolve"}, p.toks[i].Value)
}

// rule reads one rule, its doc comments behind token after; a broken one keeps its label.
func (p *parser) rule(lo, hi, after int) *Rule {
	head, lo := p.head(lo, hi, after)
	bad := &Rule{Head: head}
	bad.Tokens, bad.Broken = p.toks[lo:hi], true
	if lo >= hi {
		p.expected(lo, "a rule", "")
		return bad
	}
	if t := p.toks[lo]; t.Type == tokenLabel {
		bad.Label = &t
		if slices.Contains([]string{"allow", "deny", "pass", "audit"}, Text(t)) {
			p.errorAt(diag.BadLabel, SpanOf(t), fmt.Sprintf("a rule cannot be named `%s`", Text(t)), "")
			return bad
		}
	}
	if open := p.unclosed(lo, hi); open >= 0 && !p.invalid(lo, hi) {
		p.missingBrace(open)
		return bad
	}
	r := read(p, p.grammar.rule, lo, hi)
	if r == nil {
		return bad
	}
	r.Doc, r.Annotations, r.Broken = head.Doc, head.Annotations, head.Broken
	return r
}

// resolve reads resolve via into b.
func (p *parser) resolve(d *Policy, b *Block, lo, hi int) {
	if r := read(p, p.grammar.resolve, lo, hi); r != nil {
		b.Resolves = append(b.Resolves, r)
		return
	}
	d.Broken = true
}

// skipTo returns where the next block begins or the declaration closes.
func (p *parser) skipTo(i, hi int) int {
	depth := 0
	for ; i < hi; i++ {
		switch v := p.toks[i].Value; {
		case v == "{":
			depth++
		case v == "}" && depth == 0, v == "ingress", v == "egress":
			return i
		case v == "}":
			depth--
		}
	}
	return hi
}
