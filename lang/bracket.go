// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"

	"mpol/lang/diag"
)

// pairs are the brackets of the language, of each kind the one that opens and the one that closes.
var pairs = [...][2]string{{"{", "}"}, {"(", ")"}, {"[", "]"}}

// bracket returns the kind of a bracket, an index of pairs, and 1 when it opens, -1 when it closes, 0 for any
// other token.
func bracket(t Token) (kind, step int) {
	for kind, pair := range pairs {
		switch t.Value {
		case pair[0]:
			return kind, 1
		case pair[1]:
			return kind, -1
		}
	}
	return 0, 0
}

// rightBrackets puts brackets right in each of the declarations that begin at starts.
func (p *parser) rightBrackets(starts []int) (replaced bool) {
	for i, lo := range starts {
		hi := len(p.toks) - 1
		if i+1 < len(starts) {
			hi = starts[i+1]
		}
		replaced = p.rightBracket(lo, hi) || replaced
	}
	return replaced
}

// rightBracket looks for brackets of the wrong kind in the declaration of tokens [lo, hi), reports them and
// puts the right ones in their places, so that nothing else comes of them. It reports whether there were any.
//
// A wrong bracket leaves one kind with more that open than close and another with less. What a bracket
// follows tells whether the one that opens is wrong or the one that closes.
func (p *parser) rightBracket(lo, hi int) (replaced bool) {
	var surplus [len(pairs)]int
	for _, t := range p.toks[lo:hi] {
		kind, step := bracket(t)
		surplus[kind] += step
	}
	if surplus == [len(pairs)]int{} {
		return false
	}
	var opened []int
	for i := lo; i < hi; i++ {
		kind, step := bracket(p.toks[i])
		switch {
		case step > 0:
			opened = append(opened, i)
			continue
		case step == 0:
			continue
		case len(opened) == 0:
			return replaced
		}
		open := opened[len(opened)-1]
		opened = opened[:len(opened)-1]
		other, _ := bracket(p.toks[open])
		switch {
		case other == kind:
			continue
		case surplus[other] <= 0 || surplus[kind] >= 0:
			return replaced
		case p.bracketBehind(open) == kind:
			p.replaceBracket(open, pairs[kind][0], i, "closed here")
		default:
			p.replaceBracket(i, pairs[other][1], open, "opened here")
		}
		surplus[other]--
		surplus[kind]++
		replaced = true
	}
	return replaced
}

// bracketBehind returns the kind of bracket that stands behind what is before token i, -1 where that is not
// known.
func (p *parser) bracketBehind(i int) int {
	const braces, round, square = 0, 1, 2
	switch prev := p.prev(i); {
	case p.prev(i-1).Value == "@":
		return round
	case prev.Value == "=" && p.prev(i-2).Value == "given",
		prev.Value == "ingress", prev.Value == "egress", prev.Value == "http", prev.Value == "grpc", prev.Value == "dns", prev.Value == "tls",
		p.isBlockWord(i + 1), IsString(prev), prev.Value == "audit": // of a policy, a test or a proof
		return braces
	case prev.Value == "in" && prev.Type == tokenKeyword:
		return square
	case prev.Type == tokenKeyword, prev.Type == tokenSymbol:
		return round
	}
	return -1
}

// replaceBracket reports token i, which right should be because of token other, and replaces it.
func (p *parser) replaceBracket(i int, right string, other int, role string) {
	t := &p.toks[i]
	p.diags.Add(diag.Diagnostic{
		Code: diag.Syntax, Span: SpanOf(*t), Summary: fmt.Sprintf("`%s` stands where `%s` does", t.Value, right), Help: "write " + right,
		Related: []diag.Related{{Span: SpanOf(p.toks[other]), Summary: role}},
	})
	t.Value = right
}
