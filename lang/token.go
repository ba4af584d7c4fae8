// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// Token is a piece of the text with its place. What it means is asked by SpanOf, Text, IsName and
// their like, so that others need not know where the grammar takes it from.
type Token = lexer.Token

// The kinds of tokens. A token's value is the text as it stands in the file, so that a string
// never looks like a word and the end of a token is known.
const (
	tokenAddress lexer.TokenType = iota + 1 // an address or prefix
	tokenL4                                 // tcp/443, icmp/3/4
	tokenLabel                              // name: before a rule
	tokenKeyword                            // a reserved word
	tokenIdent
	tokenString
	tokenNumber
	tokenSymbol
	tokenInvalid // already reported
)

// reserved are the words that cannot be names.
const reserved = ` package import workload cidrs domains service resolver tier default policy test prove todo
 given never always for in not and or has ingress egress allow deny pass audit log reject from to on except via
 private resolve any none workloads world internet host node same tcp udp sctp icmp icmpv6 ip http grpc dns tls `

// reservedWords returns the reserved words as a set.
func reservedWords() map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(reserved) {
		words[w] = true
	}
	return words
}

// definition is the lexer as participle knows it; the grammar itself is always given tokens.
type definition struct{}

// Symbols implements lexer.Definition.
func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{
		"EOF": lexer.EOF, "Address": tokenAddress, "L4": tokenL4, "Label": tokenLabel, "Keyword": tokenKeyword,
		"Ident": tokenIdent, "String": tokenString, "Number": tokenNumber, "Symbol": tokenSymbol,
	}
}

// Lex implements lexer.Definition.
func (definition) Lex(name string, r io.Reader) (lexer.Lexer, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	s := scan(name, text)
	if s.diags.HasErrors() {
		return nil, errors.New(s.diags[0].Summary)
	}
	last := len(s.tokens) - 1
	return &tokens{list: s.tokens[:last], end: s.tokens[last]}, nil
}

// tokens hands out a list, then its end for ever.
type tokens struct {
	list []lexer.Token
	end  lexer.Token
	next int
}

// Next implements lexer.Lexer.
func (t *tokens) Next() (lexer.Token, error) {
	if t.next == len(t.list) {
		return t.end, nil
	}
	t.next++
	return t.list[t.next-1], nil
}

// SpanOf returns the place of a token.
func SpanOf(t lexer.Token) diag.Span {
	return diag.Span{File: t.Pos.Filename, Start: start(t), End: end(t)}
}

func start(t lexer.Token) diag.Pos {
	return diag.Pos{Line: t.Pos.Line, Column: t.Pos.Column, Offset: t.Pos.Offset}
}

func end(t lexer.Token) diag.Pos {
	return diag.Pos{Line: t.Pos.Line, Column: t.Pos.Column + utf8.RuneCountInString(t.Value), Offset: t.Pos.Offset + len(t.Value)}
}

// Text returns the value of a token: of a string what it stands for, of a label its name, else the
// token itself.
func Text(t lexer.Token) string {
	switch t.Type {
	case tokenString:
		if s, err := strconv.Unquote(t.Value); err == nil {
			return s
		}
	case tokenLabel:
		return strings.TrimSuffix(t.Value, ":")
	}
	return t.Value
}

// IsString, IsAddress, IsL4 and IsName tell tokens apart where the grammar takes several.
func IsString(t lexer.Token) bool { return t.Type == tokenString }

// IsAddress reports whether t is an address or prefix.
func IsAddress(t lexer.Token) bool { return t.Type == tokenAddress }

// IsL4 reports whether t is a protocol with a port, type or number.
func IsL4(t lexer.Token) bool { return t.Type == tokenL4 }

// IsName reports whether t is an identifier that is not reserved.
func IsName(t lexer.Token) bool { return t.Type == tokenIdent }

// IsIdentifier reports whether text is an identifier that is not reserved.
func IsIdentifier(text string) bool {
	return text != "" && identLength(text) == len(text) && !reservedWords()[text]
}
