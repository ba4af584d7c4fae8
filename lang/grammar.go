// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// maxDepth bounds the nesting of brackets in a declaration or rule, and with it the recursion of
// everything that walks a tree.
const maxDepth = 100

// grammar is one parser for each piece into which a file is split.
type grammar struct {
	pkg        *participle.Parser[Package]
	imports    *participle.Parser[Import]
	tier       *participle.Parser[Tier]
	def        *participle.Parser[Default]
	workload   *participle.Parser[Workload]
	cidrs      *participle.Parser[Cidrs]
	domains    *participle.Parser[Domains]
	service    *participle.Parser[Service]
	resolver   *participle.Parser[Resolver]
	policy     *participle.Parser[policyHeader]
	resolve    *participle.Parser[Resolve]
	rule       *participle.Parser[Rule]
	annotation *participle.Parser[Annotation]
	test       *participle.Parser[testHeader]
	given      *participle.Parser[Given]
	line       *participle.Parser[Line]
	prove      *participle.Parser[proveHeader]
	claim      *participle.Parser[Claim]
}

// sharedGrammar builds the grammar once; it is immutable.
var sharedGrammar = sync.OnceValue(func() *grammar {
	return &grammar{
		pkg: build[Package](), imports: build[Import](), tier: build[Tier](), def: build[Default](),
		workload: build[Workload](), cidrs: build[Cidrs](), domains: build[Domains](), service: build[Service](),
		resolver: build[Resolver](), policy: build[policyHeader](), resolve: build[Resolve](), rule: build[Rule](),
		annotation: build[Annotation](), test: build[testHeader](), given: build[Given](), line: build[Line](),
		prove: build[proveHeader](), claim: build[Claim](),
	}
})

func build[T any]() *participle.Parser[T] {
	return participle.MustBuild[T](participle.Lexer(definition{}), participle.UseLookahead(1))
}

// read parses the tokens [lo, hi) as one T. It returns nil when they are none, which is then
// reported, once.
func read[T any](p *parser, g *participle.Parser[T], lo, hi int) *T {
	if p.invalid(lo, hi) || p.tooDeep(lo, hi) {
		return nil
	}
	// In nearly every case the production ends where the piece does, and no token is copied.
	whole := p.peeking
	whole.LoadCheckpoint(p.places[lo])
	if v, err := g.ParseFromLexer(&whole, participle.AllowTrailing(true)); err == nil && int(whole.RawCursor()) == hi {
		return v
	}
	piece, err := lexer.Upgrade(&tokens{list: p.toks[lo:hi], end: lexer.Token{Type: lexer.EOF, Pos: p.toks[hi].Pos}})
	if err == nil {
		var v *T
		if v, err = g.ParseFromLexer(piece); err == nil {
			return v
		}
	}
	at, want := lo, ""
	var perr participle.Error
	if errors.As(err, &perr) {
		at = p.indexOf(perr.Position().Offset, lo, hi)
		want = wanted(perr.Message())
	}
	if next := p.lacking(at, hi); next != "" && want != "a name" && want != "a condition" {
		at, want = at+1, next
	}
	p.expected(at, want, formOf((*T)(nil)))
	return nil
}

// items returns what is wanted at token i where the grammar says that a } is, and a list in braces may
// begin or go on.
func (p *parser) items(i int, want string) string {
	if want != "`}`" {
		return want
	}
	switch prev := p.prev(i); {
	case IsString(prev):
		return "`,` or `}`"
	case prev.Value == "{" && p.prev(i-1).Value == "http":
		return "a method and a path"
	case prev.Value == "{" && (p.prev(i-1).Value == "grpc" || p.prev(i-1).Value == "dns"):
		return aString
	}
	return want
}

func (p *parser) tooDeep(lo, hi int) bool {
	depth := 0
	for _, t := range p.toks[lo:hi] {
		switch t.Value {
		case "(", "{", "[":
			if depth++; depth > maxDepth {
				p.errorAt(diag.TooDeep, SpanOf(t), fmt.Sprintf("brackets are nested more than %d deep", maxDepth), "name the inner part by a declaration of its own")
				return true
			}
		case ")", "}", "]":
			depth--
		}
	}
	return false
}

// indexOf returns the token of [lo, hi] at an offset.
func (p *parser) indexOf(offset, lo, hi int) int {
	for i := lo; i < hi; i++ {
		if p.toks[i].Pos.Offset >= offset {
			return i
		}
	}
	return hi
}

// expected reports that something else stands at token i than what is wanted. When that token is on
// a later line and not what is wanted misspelt, the place is right behind the token before it.
func (p *parser) expected(i int, want, help string) {
	t := p.toks[i]
	want = p.items(i, want)
	span := SpanOf(t)
	found := fmt.Sprintf("found `%s`", t.Value)
	if t.Type == lexer.EOF || want != "" && want != "a declaration" && i > 0 && p.toks[i-1].Pos.Line < t.Pos.Line && !p.misspelt(i, want) {
		found = "the line ends"
		if t.Type == lexer.EOF {
			found = "the file ends"
		}
		if i > 0 {
			e := end(p.toks[i-1])
			span = diag.Span{File: span.File, Start: e, End: e}
		}
	}
	if t.Type == tokenInvalid {
		return
	}
	code, remedy := p.remedy(i, want, span.Start == span.End)
	if remedy != "" {
		help = remedy
	}
	summary := fmt.Sprintf("expected %s, %s", want, found)
	if want == "" {
		summary = fmt.Sprintf("%s cannot stand here", strings.TrimPrefix(found, "found "))
		if t.Type == lexer.EOF {
			summary = "the file ends too early"
		}
	}
	p.errorAt(code, span, summary, help)
}

// dottedKey returns the dotted word that ends before or goes on at token i when that is an operator of
// a selector or one more dot: it was meant as the key of a label.
func (p *parser) dottedKey(i int) string {
	switch p.toks[i].Value {
	case ".", "=", "!=", "in", "not":
	default:
		return ""
	}
	lo, hi := i-1, i
	for lo >= 2 && p.toks[lo-1].Value == "." {
		lo -= 2
	}
	for p.toks[hi].Value == "." && hi+1 < len(p.toks) && p.toks[hi+1].Type != lexer.EOF {
		hi += 2
	}
	if hi-lo < 3 {
		return ""
	}
	return Node{Tokens: p.toks[lo:hi]}.Text()
}
