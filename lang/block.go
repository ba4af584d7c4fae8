// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"

	"mpol/lang/diag"
)

// policy reads a policy block by block and rule by rule. Where a brace is wrong it says so once and reads
// on as if it were right.
func (p *parser) policy(lo, hi int) Decl {
	d := &Policy{Name: p.nameAfter(lo, hi)}
	open, body := p.header(lo, hi, p.isBlockWord)
	if h := read(p, p.grammar.policy, lo, body); h != nil {
		d.Subject, d.Tier, d.Audit = h.Subject, h.Tier, h.Audit
	} else {
		d.Broken = true
	}
	i := p.blocks(d, body, hi)
	d.Broken = p.close(open, i, hi) || d.Broken
	d.Tokens = p.toks[lo:min(i+1, hi)]
	if !d.Broken && len(d.Blocks) == 0 {
		p.errorAt(diag.Empty, SpanOf(d.Name), fmt.Sprintf("policy `%s` has no block", d.Name.Value), "write an ingress or an egress block")
	}
	if !IsName(d.Name) {
		return p.other(lo, hi)
	}
	return d
}

// header returns the brace at which the header of a declaration ends and where its body begins; open is
// -1 where a body begins without one, as inner says, or where there is neither.
func (p *parser) header(lo, hi int, inner func(int) bool) (open, body int) {
	for i := lo + 1; i < hi; i++ {
		if p.toks[i].Value == "{" {
			return i, i + 1
		}
		if inner(i) {
			return -1, i
		}
	}
	return -1, hi
}

// isBlockWord reports whether token i is ingress or egress where it begins a block.
func (p *parser) isBlockWord(i int) bool {
	prev := p.prev(i).Value
	return (p.toks[i].Value == "ingress" || p.toks[i].Value == "egress") && prev != "at" && prev != "." && prev != "@" &&
		(!isAction(prev) || p.firstOnLine(i))
}

// blocks reads what stands in the braces of a policy and returns the place of the } that closes it, hi
// when there is none.
func (p *parser) blocks(d *Policy, i, hi int) int {
	for i < hi {
		switch {
		case p.toks[i].Value != "}":
			i = p.block(d, i, hi)
		case i+1 < hi && (p.isBlockWord(i+1) || p.isRule(i+1, hi)):
			d.Broken = true
			p.outside(i+1, i, "a policy")
			i++
		default:
			return i
		}
	}
	return i
}

// outside reports token i, which stands behind the } at end that closes what it belongs to too early.
func (p *parser) outside(i, end int, of string) {
	p.diags.Add(diag.Diagnostic{
		Code: diag.Syntax, Span: SpanOf(p.toks[i]), Summary: fmt.Sprintf("`%s` stands outside of %s", p.toks[i].Value, of),
		Help: "move it into the braces, or remove the } that closes them too early", Related: []diag.Related{{Span: SpanOf(p.toks[end]), Summary: "closed here"}},
	})
}

// close checks that a declaration ends at i with the } of its open brace and reports whether it
// does not.
func (p *parser) close(open, i, hi int) bool {
	switch {
	case open < 0:
		return true
	case p.invalid(open, hi):
		return true
	case i == hi:
		p.missingBrace(open)
		return true
	case i+1 < hi:
		if !p.unbalanced(open, hi) {
			p.expected(i+1, "", "the declaration ends before it: remove it, or a } that came too early")
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

// unbalanced reports whether a } is missing behind a token, or a { was one too many, as was reported.
func (p *parser) unbalanced(open, hi int) bool {
	return p.extra || slices.ContainsFunc(p.diags[p.before:], func(d diag.Diagnostic) bool {
		at := d.Span.Start.Offset
		return d.Code == diag.MissingBrace && at > p.toks[open].Pos.Offset && at < p.toks[hi].Pos.Offset
	})
}

// block reads one block that begins at i, or what stands in its place, and returns where it ends.
func (p *parser) block(d *Policy, i, hi int) int {
	next := min(i+1, hi)
	switch {
	case p.isBlockWord(i) && next < hi && p.toks[next].Value == "none":
		d.Blocks = append(d.Blocks, &Block{Node: Node{Tokens: p.toks[i : i+2]}, Word: p.toks[i], None: true})
		return i + 2
	case p.isBlockWord(i) && next < hi && p.toks[next].Value == "{":
		b := &Block{Word: p.toks[i]}
		d.Blocks = append(d.Blocks, b)
		end := p.rules(d, b, next, next+1, hi)
		b.Tokens = p.toks[i:min(end, hi)]
		return end
	case p.isBlockWord(i):
		p.expected(next, "`{` or `none`", fmt.Sprintf("write %s { ... }, or %s none", p.toks[i].Value, p.toks[i].Value))
	case p.toks[i-1].Value == "}" && p.isRule(i, hi) && len(d.Blocks) > 0:
		p.outside(i, i-1, "a block")
	case p.isRule(i, hi):
		p.expected(i, aBlock, fmt.Sprintf("write %s { around the rules }", p.direction(i, hi)))
	case !p.invalid(i, hi):
		p.expected(i, aBlock, "write ingress { ... } or egress { ... }")
	}
	d.Broken = true
	return p.wrongBlock(d, i, hi)
}

// wrongBlock reads on behind the mistake at i, where no block begins as it should.
func (p *parser) wrongBlock(d *Policy, i, hi int) int {
	word, from := -1, i
	if p.isBlockWord(from) {
		word, from = i, i+1
	} else if p.toks[i].Type == tokenIdent && p.next(i).Value == "none" {
		return min(i+2, hi)
	} else if p.toks[i].Type == tokenIdent && p.next(i).Value == "{" {
		from++
	}
	open := -1
	if from < hi && p.toks[from].Value == "{" {
		open = from
		from++
		if from+1 < hi && p.isBlockWord(from) {
			if next := p.toks[from+1].Value; next == "{" || next == "none" {
				p.extra = true
				return from
			}
			word = from
			from++
		}
	}
	if open < 0 && (from >= hi || !p.isRule(from, hi)) {
		return p.skipTo(max(from, i+1), hi)
	}
	end := p.rules(d, p.blockFor(d, word, from, hi), open, from, hi)
	if open < 0 && end-1 < hi && end > from && p.toks[end-1].Value == "}" && (end == hi || !p.isBlockWord(end) && p.toks[end].Value != "}") {
		return end - 1 // the brace is the policy's
	}
	return end
}

// blockFor returns the block to which the rules at from belong: of the word at token word or, when that
// is negative, of the direction that the first of them has.
func (p *parser) blockFor(d *Policy, word, from, hi int) *Block {
	t := p.toks[from]
	if word >= 0 {
		t = p.toks[word]
	} else {
		t.Value, t.Type = p.direction(from, hi), tokenKeyword
	}
	for _, b := range d.Blocks {
		if b.Word.Value == t.Value {
			return b
		}
	}
	b := &Block{Node: Node{Tokens: p.toks[from : from+1]}, Word: t}
	d.Blocks = append(d.Blocks, b)
	return b
}

// direction returns the word of the block in which the rules at from may stand.
func (p *parser) direction(from, hi int) string {
	for _, t := range p.toks[from:hi] {
		switch t.Value {
		case "from":
			return "ingress"
		case "to":
			return "egress"
		}
	}
	return "egress"
}

// rules reads the rules from one token on and returns where what follows the block begins. Open is its
// brace, -1 when there is none.
func (p *parser) rules(d *Policy, b *Block, open, from, hi int) int {
	if from < hi && p.toks[from].Value == "{" {
		p.expected(from, "a rule", "remove one of the braces")
		d.Broken, p.extra = true, true
		from++
	}
	if from < hi && p.toks[from].Value == "none" {
		p.expected(from, "a rule", "write "+b.Word.Value+" none, without braces")
		d.Broken = true
		if from++; from < hi && p.toks[from].Value != "}" {
			return from
		}
	}
	starts, end, closed := p.parts(from, hi, 2, p.beginsRule, p.isBlockWord)
	if end > from && (len(starts) == 0 || starts[0] > from) {
		if !p.invalid(from, slices.Min(append(starts, end))) {
			p.expected(from, "a rule", "begin it with a label, allow or deny")
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
			after = max(open-2, -1) // what stands before the word of the block belongs to its first rule
		}
		if p.toks[lo].Value == "resolve" {
			p.resolve(d, b, lo, stop)
			continue
		}
		b.Rules = append(b.Rules, p.rule(lo, stop, after))
	}
	if end == from && closed && !d.Broken {
		p.errorAt(diag.Empty, SpanOf(b.Word), "the block is empty", "write "+b.Word.Value+" none")
	}
	if closed {
		return end + 1
	}
	if open >= 0 && !p.invalid(open, end) {
		p.missingBrace(open)
	}
	d.Broken = true
	return end
}

// rule reads one rule, its doc comments behind token after; a broken one keeps its label.
func (p *parser) rule(lo, hi, after int) *Rule {
	head, lo := p.head(lo, hi, after)
	bad := &Rule{Head: head}
	bad.Tokens, bad.Broken = p.toks[lo:hi], true
	if lo >= hi {
		p.expected(lo, "a rule", formOf((*Rule)(nil)))
		return bad
	}
	if t := p.toks[lo]; t.Type == tokenLabel {
		bad.Label = &t
		if slices.Contains([]string{"allow", "deny", "pass", "audit"}, Text(t)) {
			p.errorAt(diag.BadLabel, SpanOf(t), fmt.Sprintf("a rule cannot be named `%s`", Text(t)), fmt.Sprintf("choose another name, such as %s-it, or write the rule without one: %s", Text(t), Text(t)))
			return bad
		}
	}
	if next := p.toks[hi]; lo+1 == hi && bad.Label != nil && next.Type == tokenLabel && next.Value == bad.Label.Value {
		p.expected(hi, aRuleWord, "write the label once")
		bad.Label = nil // that is the next rule's
		return bad
	}
	if p.foreignRule(lo) {
		p.expected(lo, "a rule", formOf((*Rule)(nil)))
		return bad
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
		case v == "}" && depth == 0, p.isBlockWord(i):
			return i
		case v == "}":
			depth--
		}
	}
	return hi
}
