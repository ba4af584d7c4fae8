// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// Parse reads the text of one file. Name is the path that diagnostics show. The file is never nil;
// it holds what could be read.
func Parse(name string, text []byte) (*File, diag.List) {
	s := scan(name, text)
	p := newParser(s)
	f := &File{Name: name, Comments: s.comments, tokens: s.tokens}
	if len(p.toks) > 1 || !p.diags.HasErrors() {
		p.file(f)
	}
	p.diags.Sort([]string{name})
	f.Broken = p.diags.HasErrors()
	return f, p.diags
}

// parser reads ranges [lo, hi) of the tokens of one file.
type parser struct {
	toks     []lexer.Token // ends with EOF
	invalids []int         // places of the tokenInvalid among toks, ascending
	closed   []int32       // once a { lacks: for each token, how many more braces close than open before it
	words    []int         // once one is asked for: places of the words that begin blocks, ascending
	comments []Comment
	diags    diag.List
	before   int  // number of diags when the present declaration began
	extra    bool // a { of the present declaration was one too many
	grammar  *grammar
	walker   walker // over toks
}

// newParser returns a parser of what was scanned.
func newParser(s *scanner) *parser {
	return &parser{
		toks: s.tokens, invalids: s.invalids, comments: s.comments, diags: s.diags,
		grammar: sharedGrammar(), walker: walker{toks: s.tokens},
	}
}

func (p *parser) errorAt(code diag.Code, span diag.Span, summary, help string) {
	p.diags.Add(diag.Diagnostic{Code: code, Span: span, Summary: summary, Help: help})
}

// file reads all declarations.
func (p *parser) file(f *File) {
	last := len(p.toks) - 1
	if last == 0 {
		eof := SpanOf(p.toks[0])
		p.errorAt(diag.EmptyFile, eof, "the file declares nothing", "begin with package NAME")
		return
	}
	p.colons()
	starts := p.declStarts()
	if p.rightBrackets(starts) {
		starts = p.declStarts()
	}
	if len(starts) == 0 || starts[0] > 0 {
		end := last
		if len(starts) > 0 {
			end = starts[0]
		}
		if !p.invalid(0, end) {
			p.expected(0, "a declaration", formOf((*Package)(nil)))
		}
		p.lose(f, 0, end)
	}
	for i, lo := range starts {
		hi := last
		if i+1 < len(starts) {
			hi = starts[i+1]
		}
		d := p.decl(lo, hi)
		if len(p.diags) > p.before || d.Common().Broken {
			inside := p.lose(f, lo, hi)
			if t, ok := d.(*Test); ok {
				t.Lost = inside
			}
		}
		pkg, ok := d.(*Package)
		switch {
		case !ok:
			f.Decls = append(f.Decls, d)
		case f.Package == nil:
			f.Package = pkg
		default:
			p.diags.Add(diag.Diagnostic{
				Code: diag.DuplicateName, Span: pkg.Span(), Summary: "the package is stated twice", Help: "remove one",
				Related: []diag.Related{{Span: f.Package.Span(), Summary: "the first"}},
			})
		}
	}
	if len(starts) > 0 && !p.meantAsPackage(starts[0]) {
		p.packageFirst(f, p.skipAnnotations(starts[0], last))
	}
}

// meantAsPackage reports whether the file begins with a package of which the word is missing or misspelt; start
// is the first declaration.
func (p *parser) meantAsPackage(start int) bool {
	if !IsName(p.toks[0]) {
		return false
	}
	return start > 0 && start <= 2 || start == 0 && diag.Nearest(p.toks[0].Value, []string{"package"}) != ""
}

// packageFirst reports a file whose first declaration, at token i, is not package.
func (p *parser) packageFirst(f *File, i int) {
	if p.toks[i].Value == "package" {
		return
	}
	help := "write package NAME before it"
	if f.Package != nil {
		help = fmt.Sprintf("move package %s before it", f.Package.Name.Value)
	}
	p.errorAt(diag.MissingPackage, SpanOf(p.toks[i]), "the file does not begin with its package", help)
}

// decl reads one declaration with its annotations.
func (p *parser) decl(lo, hi int) Decl {
	p.before, p.extra = len(p.diags), false
	head, lo := p.head(lo, hi, lo-1)
	d := p.body(lo, hi)
	h := d.Common()
	h.Doc, h.Annotations = head.Doc, head.Annotations
	h.Broken = h.Broken || head.Broken
	if len(h.Tokens) == 0 {
		h.Tokens = p.toks[lo:hi]
	}
	return d
}

func (p *parser) body(lo, hi int) Decl {
	g := p.grammar
	var d Decl
	switch p.toks[lo].Value {
	case "package":
		return orOther(p, read(p, g.pkg, lo, hi), lo, hi)
	case "import":
		return orOther(p, read(p, g.imports, lo, hi), lo, hi)
	case "default":
		return orOther(p, read(p, g.def, lo, hi), lo, hi)
	case "tier":
		d = orBroken(read(p, g.tier, lo, hi), &Tier{Name: p.nameAfter(lo, hi)})
	case "workload":
		d = orBroken(read(p, g.workload, lo, hi), &Workload{Name: p.nameAfter(lo, hi)})
	case "cidrs":
		d = orBroken(read(p, g.cidrs, lo, hi), &Cidrs{Name: p.nameAfter(lo, hi)})
	case "domains":
		d = orBroken(read(p, g.domains, lo, hi), &Domains{Name: p.nameAfter(lo, hi)})
	case "service":
		d = orBroken(read(p, g.service, lo, hi), &Service{Name: p.nameAfter(lo, hi)})
	case "resolver":
		d = orBroken(read(p, g.resolver, lo, hi), &Resolver{Name: p.nameAfter(lo, hi)})
	case "policy":
		return p.policy(lo, hi)
	case "test", "todo":
		return p.test(lo, hi)
	case "prove":
		return p.prove(lo, hi)
	default:
		if !p.invalid(lo, hi) {
			p.expected(lo, "a declaration", "begin it with a word such as workload, cidrs, domains, service or policy")
		}
		return p.other(lo, hi)
	}
	if !IsName(nameOf(d)) {
		return p.other(lo, hi)
	}
	return d
}

// orOther returns n, or else what could not be read.
func orOther[T any, P interface {
	*T
	Decl
}](p *parser, n P, lo, hi int,
) Decl {
	if n != nil {
		return n
	}
	return p.other(lo, hi)
}

// orBroken returns n, or else instead, marked as broken.
func orBroken[T any, P interface {
	*T
	Decl
}](n P, instead P,
) Decl {
	if n != nil {
		return n
	}
	instead.Common().Broken = true
	return instead
}

func nameOf(d Decl) lexer.Token {
	switch d := d.(type) {
	case *Tier:
		return d.Name
	case *Workload:
		return d.Name
	case *Cidrs:
		return d.Name
	case *Domains:
		return d.Name
	case *Service:
		return d.Name
	case *Resolver:
		return d.Name
	}
	return lexer.Token{}
}

// nameAfter returns the identifier behind the first word, the zero token when there is none.
func (p *parser) nameAfter(lo, hi int) lexer.Token {
	if lo+1 < hi && IsName(p.toks[lo+1]) {
		return p.toks[lo+1]
	}
	return lexer.Token{}
}

func (p *parser) other(lo, hi int) *Other {
	o := &Other{Kind: p.toks[lo].Value}
	o.Broken = true
	if t := p.nameAfter(lo, hi); IsName(t) {
		o.Name = &t
	}
	return o
}

// head reads the doc comments, those behind token after, and the annotations before a declaration
// or rule and returns where the rest begins.
func (p *parser) head(lo, hi, after int) (Head, int) {
	var h Head
	from := -1
	if after >= 0 {
		from = p.toks[after].Pos.Offset
	}
	for lo < hi && p.toks[lo].Value == "@" {
		next := p.annotationEnd(lo, hi)
		if a := read(p, p.grammar.annotation, lo, next); a != nil {
			h.Annotations = append(h.Annotations, a)
		} else {
			h.Broken = true
		}
		lo = next
	}
	h.Doc = p.docs(from, p.toks[lo].Pos.Offset)
	return h, lo
}

// docs returns the doc comments between two offsets.
func (p *parser) docs(from, to int) []string {
	i := sort.Search(len(p.comments), func(i int) bool { return p.comments[i].Span.Start.Offset > from })
	var docs []string
	for ; i < len(p.comments) && p.comments[i].Span.Start.Offset < to; i++ {
		if p.comments[i].Doc {
			docs = append(docs, strings.TrimSpace(p.comments[i].Text))
		}
	}
	return docs
}

// invalid reports whether a range holds a token that was already reported.
func (p *parser) invalid(lo, hi int) bool {
	i, _ := slices.BinarySearch(p.invalids, lo)
	return i < len(p.invalids) && p.invalids[i] < hi
}
