// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"

	"mpol/lang/diag"
)

// notSupported reports that the language knows token i and this version does not.
func (p *parser) notSupported(i int) {
	t := p.toks[i]
	p.errorAt(diag.NotSupported, SpanOf(t), fmt.Sprintf("`%s` is not supported yet", t.Value), "")
}

// unsupported returns the place of the first word of a rule that this version does not know, -1
// when there is none. What is not reserved is such a word only where the language puts it.
func (p *parser) unsupported(lo, hi int) int {
	depth := 0
	for i := lo; i < hi; i++ {
		t, prev := p.toks[i], p.prev(i)
		switch t.Value {
		case "{":
			depth++
		case "}":
			depth--
		}
		switch {
		case t.Type == tokenKeyword:
			switch t.Value {
			case "pass", "audit", "same", "grpc", "dns", "via", "private", "resolve":
				return i
			}
		case t.Type != tokenIdent:
		case t.Value == "pinned" && prev.Value == "tls":
			return i
		case depth > 0 && (t.Value == "header" || t.Value == "upgrade") && p.toks[i+1].Type == tokenString && prev.Type == tokenString:
			return i
		case p.toks[i+1].Value == "." && i+1 < hi && i > lo:
			return i // a name of another package
		}
	}
	return -1
}

// unsupportedHeader is unsupported for what stands before a policy's brace.
func (p *parser) unsupportedHeader(lo, hi int) int {
	depth := 0
	for i := lo; i < hi; i++ {
		t := p.toks[i]
		switch t.Value {
		case "(":
			depth++
		case ")":
			depth--
		case "host", "audit":
			return i
		case "in":
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}
