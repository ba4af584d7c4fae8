// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// File is the tree of one file.
type File struct {
	Name string
	// Package is nil when the file does not begin with it.
	Package *Package
	// Decls are the declarations after package in file order, those with mistakes included.
	Decls    []Decl
	Comments []Comment // in file order
	// Broken files got an error; no Module can be made of them. Lost is what they may have declared
	// beside what Decls do.
	Broken bool
	Lost   Lost

	tokens []lexer.Token
}

// Tokens returns the tokens of the file, the last of which is its end.
func (f *File) Tokens() []Token { return f.tokens }

// Items returns the items of a list without what separates them. A field of several tokens holds its
// part of the file as written, commas and dots included.
func Items(list []lexer.Token) []lexer.Token {
	var items []lexer.Token
	for _, t := range list {
		if t.Type != tokenSymbol {
			items = append(items, t)
		}
	}
	return items
}

// Split returns the items of a list, each with all of its tokens: a name of another package has
// three, everything else one.
func Split(list []lexer.Token) []Node {
	var items []Node
	for i := 0; i < len(list); i++ {
		if list[i].Type == tokenSymbol {
			continue
		}
		n := 1
		for i+n+1 < len(list) && list[i+n].Value == "." {
			n += 2
		}
		items = append(items, Node{Tokens: list[i : i+n]})
		i += n - 1
	}
	return items
}

// Node is a piece of the text.
type Node struct {
	Tokens []lexer.Token
}

// Span returns the place of the node, from its first token to its last.
func (n Node) Span() diag.Span {
	if len(n.Tokens) == 0 {
		return diag.Span{}
	}
	s := SpanOf(n.Tokens[0])
	s.End = end(n.Tokens[len(n.Tokens)-1])
	return s
}

// Text returns the tokens of the node as written, with one space between them where the file has
// white space or a comment.
func (n Node) Text() string {
	var b []byte
	for i, t := range n.Tokens {
		if i > 0 && end(n.Tokens[i-1]).Offset != t.Pos.Offset {
			b = append(b, ' ')
		}
		b = append(b, t.Value...)
	}
	return string(b)
}

// Head is what stands before a declaration or rule. Broken says that the body could not be read:
// the name, if there is one, is declared all the same.
type Head struct {
	Node        // the whole declaration or rule, without its head
	Doc         []string
	Annotations []*Annotation
	Broken      bool
}

// Common returns the head itself; it makes every declaration a Decl.
func (h *Head) Common() *Head { return h }

// Decl is a declaration: *Import, *Default, *Tier, *Workload, *Cidrs, *Domains, *Service, *Resolver,
// *Policy, *Test, *Prove or *Other.
type Decl interface{ Common() *Head }

// Annotation is @key("value", ...).
type Annotation struct {
	Node
	Key    lexer.Token   `parser:"'@' @(Ident | Keyword)"`
	Values []lexer.Token `parser:"'(' @( String ( ',' String )* ','? ) ')'"`
}

// Package is package NAME.
type Package struct {
	Head
	Name lexer.Token `parser:"'package' @Ident"`
}

// Import is import NAME.
type Import struct {
	Head
	Name lexer.Token `parser:"'import' @Ident"`
}

// Tier is tier NAME order N default ACTION.
type Tier struct {
	Head
	Name    lexer.Token `parser:"'tier' @Ident"`
	Order   lexer.Token `parser:"'order' @Number"`
	Default lexer.Token `parser:"'default' @( 'deny' | 'allow' | 'pass' )"`
}

// Default is default allow|deny.
type Default struct {
	Head
	Action lexer.Token `parser:"'default' @( 'allow' | 'deny' )"`
}

// Workload is workload NAME = SELECTOR.
type Workload struct {
	Head
	Name     lexer.Token `parser:"'workload' @Ident '='"`
	Selector *Selector   `parser:"@@"`
}

// Cidrs is cidrs NAME = items; an item is an address, a prefix or the name of other cidrs.
type Cidrs struct {
	Head
	Name  lexer.Token   `parser:"'cidrs' @Ident '='"`
	Items []lexer.Token `parser:"@( ( Address | Ident ( '.' Ident )? ) ( ',' ( Address | Ident ( '.' Ident )? ) )* ','? )"`
	Minus []lexer.Token `parser:"( 'except' @( ( Address | Ident ( '.' Ident )? ) ( ',' ( Address | Ident ( '.' Ident )? ) )* ','? ) )?"`
}

// Domains is domains NAME = items; an item is a pattern or the name of other domains.
type Domains struct {
	Head
	Name  lexer.Token   `parser:"'domains' @Ident '='"`
	Items []lexer.Token `parser:"@( ( String | Ident ( '.' Ident )? ) ( ',' ( String | Ident ( '.' Ident )? ) )* ','? )"`
	Minus []lexer.Token `parser:"( 'except' @( ( String | Ident ( '.' Ident )? ) ( ',' ( String | Ident ( '.' Ident )? ) )* ','? ) )?"`
}

// Service is service NAME = items.
type Service struct {
	Head
	Name  lexer.Token `parser:"'service' @Ident '='"`
	Items L4List      `parser:"@@"`
}

// Resolver is resolver NAME = PEER on L4 for patterns. The peer is host, an address or prefix, or the
// name of a workload: Item or, when it is one of another package, Member of the package Item.
type Resolver struct {
	Head
	Name   lexer.Token   `parser:"'resolver' @Ident '='"`
	Item   lexer.Token   `parser:"( @( 'host' | Address ) | @Ident"`
	Member *lexer.Token  `parser:"( '.' @Ident )? )"`
	L4     *L4List       `parser:"'on' @@"`
	For    []lexer.Token `parser:"( 'for' @( String ( ',' String )* ','? ) )?"`
}

// L4List is a list of protocols and ports and of services.
type L4List struct {
	Node
	Items []lexer.Token `parser:"@( ( L4 | Ident ( '.' Ident )? | 'any' | 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp' | 'ip' ) ( ',' ( L4 | Ident ( '.' Ident )? | 'any' | 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp' | 'ip' ) )* ','? )"`
}

// Selector is terms joined by and or by or, never by both.
type Selector struct {
	Node
	First *Term   `parser:"@@"`
	Rest  []*Join `parser:"@@*"`
}

// Join is one more term with the word that joins it.
type Join struct {
	Op   lexer.Token `parser:"@( 'and' | 'or' )"`
	Term *Term       `parser:"@@"`
}

// Term is a condition that holds unless an odd number of nots stands before it.
type Term struct {
	Node
	Nots      []lexer.Token `parser:"@( 'not'* )"`
	Group     *Selector     `parser:"( '(' @@ ')'"`
	Has       *lexer.Token  `parser:"| 'has' @( Ident | String )"`
	Condition *Condition    `parser:"| @@ )"`
}

// Condition compares a label, or names a workload when it has no operator: Key or, when it is one of
// another package, Member of the package Key.
type Condition struct {
	Node
	Key    lexer.Token   `parser:"@( Ident | String )"`
	Member *lexer.Token  `parser:"( '.' @Ident"`
	Equals *lexer.Token  `parser:"| '=' @String"`
	Differ *lexer.Token  `parser:"| '!=' @String"`
	NotIn  bool          `parser:"| ( @'not' 'in'"`
	In     bool          `parser:"| @'in' )"`
	Values []lexer.Token `parser:"'[' ( @( String ( ',' String )* ','? ) )? ']' )?"`
}

// Other is a declaration whose kind is unknown to this version or could not be read; its error is
// already reported. Kind is its first word, Name is set when it names something.
type Other struct {
	Head
	Kind string
	Name *lexer.Token
}
