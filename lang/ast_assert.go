// SPDX-License-Identifier: Apache-2.0

package lang

import "github.com/alecthomas/participle/v2/lexer"

// Test is a test block with its lines in file order.
type Test struct {
	Head
	Todo   bool
	Name   lexer.Token
	Givens []*Given
	Lines  []*Line
	Lost   Lost // parties
}

// testHeader is a test up to its brace.
type testHeader struct {
	Node
	Todo bool        `parser:"@'todo'?"`
	Name lexer.Token `parser:"'test' @String '{'"`
}

// Given is a line that states a party or, when DNS is set, an answer.
type Given struct {
	Node
	DNS       *lexer.Token  `parser:"'given' ( 'dns' @String"`
	Via       *lexer.Token  `parser:"( 'via' @String )?"`
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
	Want    lexer.Token      `parser:"@( 'allow' | 'deny' )"`
	From    lexer.Token      `parser:"@( Ident | 'host' | 'node' | Address | String ) '->'"`
	To      []lexer.Token    `parser:"@( ( Ident | 'host' | 'node' | Address | String ) ( ',' ( Ident | 'host' | 'node' | Address | String ) )* ','? )"`
	L4      *L4List          `parser:"'on' @@"`
	SNI     *lexer.Token     `parser:"( 'sni' @String"`
	GRPC    *lexer.Token     `parser:"| 'grpc' @String"`
	DNS     *lexer.Token     `parser:"| 'dns' @String"`
	Type    *lexer.Token     `parser:"( (?! 'by' | 'at' ) @Ident )?"`
	Method  *lexer.Token     `parser:"| (?! 'by' | 'at' ) @( Ident | 'any' )"`
	Path    *lexer.Token     `parser:"@String"`
	Host    *lexer.Token     `parser:"( 'host' @String )?"`
	Headers []*RequestHeader `parser:"@@*"`
	Upgrade *lexer.Token     `parser:"( 'upgrade' @String )? )?"`
	By      *RuleName        `parser:"( 'by' @@ )?"`
	At      *lexer.Token     `parser:"( 'at' @( 'ingress' | 'egress' ) )?"`
}

// RequestHeader is one header line of a request.
type RequestHeader struct {
	Node
	Name  lexer.Token `parser:"'header' @String"`
	Value lexer.Token `parser:"'=' @String"`
}

// RuleName is the name of a rule or default, its parts joined by dots.
type RuleName struct {
	Node
	Parts []lexer.Token `parser:"@( ( Ident | Keyword ) ( '.' ( Ident | Keyword ) )* )"`
}

// Prove is a prove block with its claims in file order.
type Prove struct {
	Head
	Name   lexer.Token
	Claims []*Claim
}

// proveHeader is a prove block up to its brace.
type proveHeader struct {
	Node
	Name lexer.Token `parser:"'prove' @String '{'"`
}

// Claim is one line of a prove block.
type Claim struct {
	Node
	Word lexer.Token `parser:"@( 'never' | 'always' )"`
	From *Peers      `parser:"'from' @@"`
	To   *Peers      `parser:"'to' @@"`
	L4   *L4List     `parser:"'on' @@"`
	HTTP *HTTP       `parser:"( @@"`
	GRPC *GRPC       `parser:"| @@"`
	DNS  *DNS        `parser:"| @@"`
	TLS  *TLS        `parser:"| @@ )?"`
}
