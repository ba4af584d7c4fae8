// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// maxDepth bounds the nesting of brackets in a declaration or rule, and with it the recursion of
// everything that walks a tree.
const maxDepth = 100

// grammar is one piece for each kind of those into which a file is split.
type grammar struct {
	pkg        *piece[Package]
	imports    *piece[Import]
	tier       *piece[Tier]
	def        *piece[Default]
	workload   *piece[Workload]
	cidrs      *piece[Cidrs]
	domains    *piece[Domains]
	service    *piece[Service]
	resolver   *piece[Resolver]
	policy     *piece[policyHeader]
	resolve    *piece[Resolve]
	rule       *piece[Rule]
	annotation *piece[Annotation]
	test       *piece[testHeader]
	given      *piece[Given]
	line       *piece[Line]
	prove      *piece[proveHeader]
	claim      *piece[Claim]
}

// piece is what is read as one: the production of a struct, and the parser that participle makes of the
// same tags.
type piece[T any] struct {
	*participle.Parser[T]
	production *production
}

// sharedGrammar builds the grammar once; it is immutable.
var sharedGrammar = sync.OnceValue(func() *grammar {
	ps := productions{}
	return &grammar{
		pkg: build[Package](ps), imports: build[Import](ps), tier: build[Tier](ps), def: build[Default](ps),
		workload: build[Workload](ps), cidrs: build[Cidrs](ps), domains: build[Domains](ps), service: build[Service](ps),
		resolver: build[Resolver](ps), policy: build[policyHeader](ps), resolve: build[Resolve](ps), rule: build[Rule](ps),
		annotation: build[Annotation](ps), test: build[testHeader](ps), given: build[Given](ps), line: build[Line](ps),
		prove: build[proveHeader](ps), claim: build[Claim](ps),
	}
})

func build[T any](ps productions) *piece[T] {
	return &piece[T]{
		Parser:     participle.MustBuild[T](participle.Lexer(definition{}), participle.UseLookahead(lookahead)),
		production: ps.of(reflect.TypeFor[T]()),
	}
}

// read parses the tokens [lo, hi) as one T. It returns nil when they are none, which is then
// reported, once.
func read[T any](p *parser, g *piece[T], lo, hi int) *T {
	if p.invalid(lo, hi) || p.tooDeep(lo, hi) {
		return nil
	}
	if v, ok := p.walker.read(g.production, lo, hi); ok {
		return v.(*T)
	}
	err := g.mistake(p.toks, lo, hi)
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

// mistake returns why the tokens [lo, hi) are no piece.
func (g *piece[T]) mistake(toks []lexer.Token, lo, hi int) error {
	list, err := lexer.Upgrade(&tokens{list: toks[lo:hi], end: lexer.Token{Type: lexer.EOF, Pos: toks[hi].Pos}})
	if err == nil {
		_, err = g.ParseFromLexer(list)
	}
	return err
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
	if t.Type == lexer.EOF || want != "" && !beginsLine(want) && i > 0 && p.toks[i-1].Pos.Line < t.Pos.Line && !p.misspelt(i, want) && !p.negated(i) {
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

// beginsLine reports whether want is what a declaration, a block, a rule or a line begins with, which may
// stand on a line of its own.
func beginsLine(want string) bool {
	switch want {
	case "a declaration", "a rule", aBlock, aTestLine, aClaim:
		return true
	}
	return false
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
