// SPDX-License-Identifier: Apache-2.0

package lang

import "github.com/alecthomas/participle/v2/lexer"

// Policy is policy NAME for SUBJECT with its blocks, in file order. Tier is nil for the tier app.
type Policy struct {
	Head
	Name    lexer.Token
	Subject *Subject
	Tier    *lexer.Token
	Audit   *lexer.Token
	Blocks  []*Block
}

// policyHeader is a policy up to its brace.
type policyHeader struct {
	Node
	Name    lexer.Token  `parser:"'policy' @Ident"`
	Subject *Subject     `parser:"'for' @@"`
	Tier    *lexer.Token `parser:"( 'in' @Ident )?"`
	Audit   *lexer.Token `parser:"@'audit'? '{'"`
}

// Subject is whom a policy governs: a name, of this package or a Member of another, all workloads,
// the host or a selector.
type Subject struct {
	Node
	Name     *lexer.Token `parser:"@Ident"`
	Member   *lexer.Token `parser:"( '.' @Ident )?"`
	Host     bool         `parser:"| @'host'"`
	All      bool         `parser:"| @'workloads'"`
	Selector *Selector    `parser:"| '(' @@ ')'"`
}

// Block is one direction of a policy; a block that is None has no rules.
type Block struct {
	Node
	Word     lexer.Token // ingress or egress
	None     bool
	Rules    []*Rule
	Resolves []*Resolve // as they stand among the rules, one if all is well
}

// Resolve is resolve via names; node is one.
type Resolve struct {
	Node
	Names []lexer.Token `parser:"'resolve' 'via' @( ( 'node' | Ident ( '.' Ident )? ) ( ',' ( 'node' | Ident ( '.' Ident )? ) )* ','? )"`
}

// Rule is one rule.
type Rule struct {
	Head
	Label     *lexer.Token `parser:"@Label?"`
	Audit     *lexer.Token `parser:"@'audit'?"`
	Action    lexer.Token  `parser:"@( 'allow' | 'deny' | 'pass' )"`
	Direction lexer.Token  `parser:"@( 'from' | 'to' )"`
	Peers     *Peers       `parser:"@@"`
	L4        *L4List      `parser:"'on' @@"`
	HTTP      *HTTP        `parser:"( @@"`
	GRPC      *GRPC        `parser:"| @@"`
	DNS       *DNS         `parser:"| @@"`
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

// Peer is one peer: a Selector, the workloads with the Same value of a label, or an Item that is a
// built-in word, a name (of this package or a Member of another), a prefix or a domain. Private and
// Aliases, as written, belong to a domain.
type Peer struct {
	Node
	Item     *lexer.Token  `parser:"( @( String | Address | 'any' | 'world' | 'internet' | 'workloads' | 'host' ) | @Ident"`
	Member   *lexer.Token  `parser:"( '.' @Ident )? )"`
	Private  []lexer.Token `parser:"( 'private' @( Address | Ident ( '.' Ident )? )"`
	Aliases  []lexer.Token `parser:"| 'via' 'cname' @String )*"`
	Selector *Selector     `parser:"| '(' @@ ')'"`
	Same     *lexer.Token  `parser:"| 'same' @( Ident | String )"`
}

// HTTP is an http part.
type HTTP struct {
	Node
	Requests []*HTTPRequest `parser:"'http' '{' ( @@ ( ',' @@ )* ','? )? '}'"`
}

// HTTPRequest is methods and a path with their conditions. Any has no methods; Regexp says that the
// path follows a ~.
type HTTPRequest struct {
	Node
	Any     bool          `parser:"( @'any'"`
	Methods []lexer.Token `parser:"| @( Ident ( ',' Ident )* ) )"`
	Regexp  bool          `parser:"@'~'?"`
	Path    lexer.Token   `parser:"@String"`
	Host    *lexer.Token  `parser:"( 'host' @String )?"`
	Headers []*Header     `parser:"@@*"`
	Upgrade *lexer.Token  `parser:"( 'upgrade' @String )?"`
}

// Header is a condition on a header: Op is =, !=, ~, present or absent, and the last two have no
// value.
type Header struct {
	Node
	Name  lexer.Token  `parser:"'header' @String"`
	Op    lexer.Token  `parser:"( @( 'present' | 'absent' )"`
	With  *lexer.Token `parser:"| @( '=' | '!=' | '~' )"`
	Value *lexer.Token `parser:"@String )"`
}

// GRPC is a grpc part: "package.Service/Method" or "package.Service/*".
type GRPC struct {
	Node
	Methods []lexer.Token `parser:"'grpc' '{' ( @( String ( ',' String )* ','? ) )? '}'"`
}

// DNS is a dns part: patterns and, when they are stated, types.
type DNS struct {
	Node
	Names []lexer.Token `parser:"'dns' '{' ( @( String ( ',' String )* ','? ) )?"`
	Types []lexer.Token `parser:"( 'types' @( Ident ( ',' Ident )* ','? ) )? '}'"`
}

// TLS is a tls part: patterns and names of domains, or the word pinned.
type TLS struct {
	Node
	Pinned *lexer.Token  `parser:"'tls' ( @'pinned'"`
	Names  []lexer.Token `parser:"| '{' 'sni' @( ( String | Ident ( '.' Ident )? ) ( ',' ( String | Ident ( '.' Ident )? ) )* ','? ) '}' )"`
}
