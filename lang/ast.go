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
	// Broken files got an error; no Module can be made of them.
	Broken bool
}

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

// Decl is a declaration: *Default, *Workload, *Cidrs, *Domains, *Service, *Policy, *Test or *Other.
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
	Items []lexer.Token `parser:"@( ( Address | Ident ) ( ',' ( Address | Ident ) )* ','? )"`
	Minus []lexer.Token `parser:"( 'except' @( ( Address | Ident ) ( ',' ( Address | Ident ) )* ','? ) )?"`
}

// Domains is domains NAME = items; an item is a pattern or the name of other domains.
type Domains struct {
	Head
	Name  lexer.Token   `parser:"'domains' @Ident '='"`
	Items []lexer.Token `parser:"@( ( String | Ident ) ( ',' ( String | Ident ) )* ','? )"`
	Minus []lexer.Token `parser:"( 'except' @( ( String | Ident ) ( ',' ( String | Ident ) )* ','? ) )?"`
}

// Service is service NAME = items.
type Service struct {
	Head
	Name  lexer.Token `parser:"'service' @Ident '='"`
	Items L4List      `parser:"@@"`
}

// L4List is a list of protocols and ports and of services.
type L4List struct {
	Node
	Items []lexer.Token `parser:"@( ( L4 | Ident | 'any' | 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp' | 'ip' ) ( ',' ( L4 | Ident | 'any' | 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp' | 'ip' ) )* ','? )"`
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

// Condition compares a label, or names a workload when it has no operator.
type Condition struct {
	Node
	Key    lexer.Token   `parser:"@( Ident | String )"`
	Equals *lexer.Token  `parser:"( '=' @String"`
	Differ *lexer.Token  `parser:"| '!=' @String"`
	NotIn  bool          `parser:"| ( @'not' 'in'"`
	In     bool          `parser:"| @'in' )"`
	Values []lexer.Token `parser:"'[' ( @( String ( ',' String )* ','? ) )? ']' )?"`
}

// Policy is policy NAME for SUBJECT with its blocks, in file order.
type Policy struct {
	Head
	Name    lexer.Token
	Subject *Subject
	Blocks  []*Block
}

// policyHeader is a policy up to its brace.
type policyHeader struct {
	Node
	Name    lexer.Token `parser:"'policy' @Ident"`
	Subject *Subject    `parser:"'for' @@ '{'"`
}

// Subject is whom a policy governs: one field is set.
type Subject struct {
	Node
	Name     *lexer.Token `parser:"@Ident"`
	All      bool         `parser:"| @'workloads'"`
	Selector *Selector    `parser:"| '(' @@ ')'"`
}

// Block is one direction of a policy; a block that is None has no rules.
type Block struct {
	Node
	Word  lexer.Token // ingress or egress
	None  bool
	Rules []*Rule
}

// Rule is one rule.
type Rule struct {
	Head
	Label     *lexer.Token `parser:"@Label?"`
	Action    lexer.Token  `parser:"@( 'allow' | 'deny' )"`
	Direction lexer.Token  `parser:"@( 'from' | 'to' )"`
	Peers     *Peers       `parser:"@@"`
	L4        *L4List      `parser:"'on' @@"`
	HTTP      *HTTP        `parser:"( @@"`
	TLS       *TLS         `parser:"| @@ )?"`
	Reject    *lexer.Token `parser:"@'reject'?"`
	Log       bool         `parser:"@'log'?"`
}

// Peers is a list of peers less another.
type Peers struct {
	Node
	Include []*Peer `parser:"@@ ( ',' @@ )* ','?"`
	Except  []*Peer `parser:"( 'except' @@ ( ',' @@ )* ','? )?"`
}

// Peer is one peer: a Selector, or an Item that is a built-in word, a name, a prefix or a domain.
type Peer struct {
	Node
	Selector *Selector    `parser:"'(' @@ ')'"`
	Item     *lexer.Token `parser:"| @( 'any' | 'workloads' | 'host' | 'world' | 'internet' | Ident | Address | String )"`
}

// HTTP is an http part.
type HTTP struct {
	Node
	Requests []*HTTPRequest `parser:"'http' '{' ( @@ ( ',' @@ )* ','? )? '}'"`
}

// HTTPRequest is methods and a path. Any has no methods; Regexp says that the path follows a ~.
type HTTPRequest struct {
	Node
	Any     bool          `parser:"( @'any'"`
	Methods []lexer.Token `parser:"| @( Ident ( ',' Ident )* ) )"`
	Regexp  bool          `parser:"@'~'?"`
	Path    lexer.Token   `parser:"@String"`
	Host    *lexer.Token  `parser:"( 'host' @String )?"`
}

// TLS is a tls part: patterns and names of domains.
type TLS struct {
	Node
	Names []lexer.Token `parser:"'tls' '{' 'sni' @( ( String | Ident ) ( ',' ( String | Ident ) )* ','? ) '}'"`
}

// Test is a test block with its lines in file order.
type Test struct {
	Head
	Name   lexer.Token
	Givens []*Given
	Lines  []*Line
}

// testHeader is a test up to its brace.
type testHeader struct {
	Node
	Name lexer.Token `parser:"'test' @String '{'"`
}

// Given is a line that states a party or, when DNS is set, an answer.
type Given struct {
	Node
	DNS       *lexer.Token  `parser:"'given' ( 'dns' @String"`
	Answers   []lexer.Token `parser:"'=' @( Address ( ',' Address )* ','? )"`
	Name      *lexer.Token  `parser:"| @Ident '='"`
	Outside   *lexer.Token  `parser:"( @Address"`
	Labels    *Labels       `parser:"| @@"`
	Addresses []lexer.Token `parser:"( 'at' @( Address ( ',' Address )* ','? ) )? ) )"`
}

// Labels are the labels of a given workload.
type Labels struct {
	Node
	Items []*Label `parser:"'{' ( @@ ( ',' @@ )* ','? )? '}'"`
}

// Label is one label with its value.
type Label struct {
	Node
	Key   lexer.Token `parser:"@( Ident | String ) '='"`
	Value lexer.Token `parser:"@String"`
}

// Line is one assertion.
type Line struct {
	Node
	Want   lexer.Token   `parser:"@( 'allow' | 'deny' )"`
	From   lexer.Token   `parser:"@( Ident | 'host' | 'node' | Address | String ) '->'"`
	To     []lexer.Token `parser:"@( ( Ident | 'host' | 'node' | Address | String ) ( ',' ( Ident | 'host' | 'node' | Address | String ) )* ','? )"`
	L4     *L4List       `parser:"'on' @@"`
	SNI    *lexer.Token  `parser:"( 'sni' @String"`
	Method *lexer.Token  `parser:"| (?! 'by' | 'at' ) @( Ident | 'any' )"`
	Path   *lexer.Token  `parser:"@String"`
	Host   *lexer.Token  `parser:"( 'host' @String )? )?"`
	By     *RuleName     `parser:"( 'by' @@ )?"`
	At     *lexer.Token  `parser:"( 'at' @( 'ingress' | 'egress' ) )?"`
}

// RuleName is the name of a rule or default, its parts joined by dots.
type RuleName struct {
	Node
	Parts []lexer.Token `parser:"@( ( Ident | Keyword ) ( '.' ( Ident | Keyword ) )* )"`
}

// Other is a declaration whose kind is unknown to this version or could not be read; its error is
// already reported. Kind is its first word, Name is set when it names something.
type Other struct {
	Head
	Kind string
	Name *lexer.Token
}
