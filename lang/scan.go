// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

const (
	bom     = "\ufeff"
	maxSize = 64 << 20
	// tokenBytes is about how many bytes of a policy one token takes, white space included.
	tokenBytes = 6
)

// Comment is one comment. Text is what follows # or ##, as it stands.
type Comment struct {
	Doc  bool
	Text string
	Span diag.Span
}

// scanner turns text into tokens and comments. It goes on after an error: what cannot be a token
// becomes tokenInvalid, which no grammar takes.
type scanner struct {
	name     string
	text     string
	pos      diag.Pos
	reserved map[string]bool
	tokens   []lexer.Token // ends with EOF
	invalids []int         // places of the tokenInvalid among them, ascending
	plain    int           // offset up to which no IPv6 address begins, 0 when that is not known
	comments []Comment
	diags    diag.List
}

// scan reads the whole text.
func scan(name string, text []byte) *scanner {
	s := &scanner{name: name, text: string(text), pos: diag.Pos{Line: 1, Column: 1}, reserved: reservedWords()}
	if s.readable() {
		s.tokens = make([]lexer.Token, 0, len(s.text)/tokenBytes+1)
		s.characters()
		s.advanceBOM()
		for s.pos.Offset < len(s.text) {
			s.step()
		}
	}
	s.tokens = append(s.tokens, lexer.Token{Type: lexer.EOF, Pos: s.position()})
	return s
}

// readable refuses a text in which no further mistake could be shown.
func (s *scanner) readable() bool {
	if len(s.text) > maxSize {
		s.errorAt(diag.FileTooLarge, s.pos, s.pos, "the file is larger than 64 MiB", "split it: files of one package share their names")
		return false
	}
	for i, r := range s.text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s.text[i:]); size == 1 {
				p := s.posAt(i)
				s.errorAt(diag.InvalidUTF8, p, p, fmt.Sprintf("byte 0x%02x is not UTF-8", s.text[i]), "save the file as UTF-8")
				return false
			}
		}
	}
	return true
}

// posAt returns the place of a byte offset, slowly.
func (s *scanner) posAt(offset int) diag.Pos {
	before := s.text[:offset]
	line := strings.LastIndexByte(before, '\n') + 1
	column := utf8.RuneCountInString(before[line:]) + 1
	if line == 0 && strings.HasPrefix(before, bom) {
		column--
	}
	return diag.Pos{Line: strings.Count(before, "\n") + 1, Column: column, Offset: offset}
}

// characters reports every character that may stand nowhere, comments included.
func (s *scanner) characters() {
	p := diag.Pos{Line: 1, Column: 1}
	text := s.text
	if rest, ok := strings.CutPrefix(text, bom); ok {
		text, p.Offset = rest, len(bom)
	}
	for i, r := range text {
		next := diag.Pos{Line: p.Line, Column: p.Column + 1, Offset: p.Offset + utf8.RuneLen(r)}
		if summary := forbidden(r, text[i:]); summary != "" {
			s.forbid(p, next, r, summary)
		}
		if r == '\n' {
			next.Line, next.Column = p.Line+1, 1
		}
		p = next
	}
}

// forbid reports a character between two places; those of one kind side by side are one mistake, and so are
// carriage returns in place of line feeds.
func (s *scanner) forbid(from, to diag.Pos, r rune, summary string) {
	help := "remove it"
	if r == '\r' {
		help = "end each line with a line feed"
	}
	if n := len(s.diags); n > 0 && s.diags[n-1].Summary == summary {
		last := &s.diags[n-1].Span
		if last.End == from {
			last.End = to
			return
		}
		if r == '\r' && from.Line == 1 {
			return
		}
	}
	s.errorAt(diag.InvalidCharacter, from, to, summary, help)
}

// forbidden says why r, the first character of text, may stand nowhere.
func forbidden(r rune, text string) string {
	switch {
	case ' ' <= r && r < utf8.RuneSelf: // nearly all
		return ""
	case r == 0:
		return "the file holds a NUL character"
	case r == '\ufeff':
		return "a byte order mark stands inside the file"
	case r == '\r' && !strings.HasPrefix(text, "\r\n"):
		return "a carriage return stands without a line feed"
	case unicode.Is(unicode.Bidi_Control, r):
		return fmt.Sprintf("U+%04X changes the direction of text and can hide what a policy says", r)
	}
	return ""
}

func (s *scanner) advanceBOM() {
	if strings.HasPrefix(s.text, bom) {
		s.pos.Offset = len(bom)
	}
}

func (s *scanner) rest() string { return s.text[s.pos.Offset:] }

func (s *scanner) position() lexer.Position {
	return lexer.Position{Filename: s.name, Offset: s.pos.Offset, Line: s.pos.Line, Column: s.pos.Column}
}

func (s *scanner) errorAt(code diag.Code, start, end diag.Pos, summary, help string) {
	s.diags.Add(diag.Diagnostic{Code: code, Span: diag.Span{File: s.name, Start: start, End: end}, Summary: summary, Help: help})
}

// step reads white space, a comment or one token, in the order that the language fixes.
func (s *scanner) step() {
	rest := s.rest()
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\n':
		s.pos = diag.Pos{Line: s.pos.Line + 1, Column: 1, Offset: s.pos.Offset + 1}
		return
	case r == ' ' || r == '\t' || forbidden(r, rest) != "" || r == '\r':
		s.pos.Column++
		s.pos.Offset += size
		return
	case r == '#':
		s.comment(rest)
		return
	}
	if n := s.addressLength(rest); n > 0 {
		s.address(rest[:n])
		return
	}
	if n := l4Length(rest); n > 0 {
		s.emit(tokenL4, n)
		return
	}
	if n := identLength(rest); n > 0 {
		s.word(rest, n)
		return
	}
	switch {
	case r == '"':
		s.str(rest)
	case '0' <= r && r <= '9':
		s.number(rest)
	default:
		s.symbol(rest, r)
	}
}

// emit appends a token of n bytes without a line end.
func (s *scanner) emit(t lexer.TokenType, n int) {
	text := s.rest()[:n]
	if t == tokenInvalid {
		s.invalids = append(s.invalids, len(s.tokens))
	}
	s.tokens = append(s.tokens, lexer.Token{Type: t, Value: text, Pos: s.position()})
	s.pos.Column += utf8.RuneCountInString(text)
	s.pos.Offset += n
}

// invalid reports the next n bytes and emits them as no token of the grammar.
func (s *scanner) invalid(n int, code diag.Code, summary, help string) {
	start := s.pos
	s.emit(tokenInvalid, n)
	s.errorAt(code, start, s.pos, summary, help)
}

func (s *scanner) comment(rest string) {
	n := strings.IndexByte(rest, '\n')
	if n < 0 {
		n = len(rest)
	}
	text := strings.TrimSuffix(rest[:n], "\r")
	start := s.pos
	s.pos.Column += utf8.RuneCountInString(text)
	s.pos.Offset += len(text)
	c := Comment{Span: diag.Span{File: s.name, Start: start, End: s.pos}}
	if c.Text, c.Doc = strings.CutPrefix(text, "##"); !c.Doc {
		c.Text = strings.TrimPrefix(text, "#")
	}
	s.comments = append(s.comments, c)
}

// word emits an identifier, a reserved word or, with a colon right behind it, a rule label.
func (s *scanner) word(rest string, n int) {
	switch {
	case strings.HasPrefix(rest[n:], "://"):
		s.link(rest)
	case strings.HasPrefix(rest[n:], ":"):
		s.emit(tokenLabel, n+1)
	case s.reserved[rest[:n]]:
		s.emit(tokenKeyword, n)
	default:
		s.emit(tokenIdent, n)
	}
}

// str emits a string, which ends on its line.
func (s *scanner) str(rest string) {
	if s.closesNothing(rest) {
		s.invalid(1, diag.UnterminatedString, "the string does not begin", `write a " where its text begins`)
		return
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			if i+1 < len(rest) && rest[i+1] != '\n' && rest[i+1] != '\r' {
				i++
			}
		case '"':
			if reason := badString(rest[:i+1]); reason != "" {
				s.invalid(i+1, diag.BadString, reason, `escapes are those of Go: \", \\, \n, \t, \x41, \u00e9`)
				return
			}
			s.emit(tokenString, i+1)
			return
		case '\n':
			s.unterminated(strings.TrimSuffix(rest[:i], "\r"))
			return
		}
	}
	s.unterminated(rest)
}

// closesNothing reports whether the quote that rest begins with was meant as the end of what it sticks to.
func (s *scanner) closesNothing(rest string) bool {
	switch last := s.last(); last.Type {
	case tokenIdent, tokenAddress, tokenNumber, tokenInvalid:
		return s.sticks(last) && !strings.HasPrefix(last.Value, `"`) && leftover(rest)
	}
	return false
}

// leftover reports whether rest begins with a quote and of those on its line one is too many.
func leftover(rest string) bool {
	line, _, _ := strings.Cut(rest, "\n")
	return strings.HasPrefix(line, `"`) && (strings.Count(line, `"`)-strings.Count(line, `\"`))%2 == 1
}

func (s *scanner) unterminated(line string) {
	at := s.pos
	s.emit(tokenInvalid, len(line))
	s.errorAt(diag.UnterminatedString, at, diag.Pos{Line: at.Line, Column: at.Column + 1, Offset: at.Offset + 1},
		"the string does not end on its line", `write a closing " on the same line`)
}

// badString says why a quoted string gives no text that the language takes.
func badString(quoted string) string {
	text, err := strconv.Unquote(quoted)
	switch {
	case err != nil:
		return "the string has an escape that the language does not know"
	case !utf8.ValidString(text):
		return "the string's escapes give bytes that are not UTF-8"
	case strings.ContainsRune(text, 0) && strings.Contains(quoted, `\`):
		return "the string's escapes give a NUL character"
	case bytes.ContainsFunc([]byte(text), func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) && strings.Contains(quoted, `\`):
		return "the string's escapes give a character that changes the direction of text"
	}
	return ""
}

func (s *scanner) number(rest string) {
	n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	if n > 1 && rest[0] == '0' {
		s.invalid(n, diag.BadNumber, fmt.Sprintf("the number %s has leading zeros", rest[:n]),
			"write "+cutZeros(rest[:n]))
		return
	}
	s.emit(tokenNumber, n)
}

func cutZeros(digits string) string {
	if t := strings.TrimLeft(digits, "0"); t != "" {
		return t
	}
	return "0"
}

func (s *scanner) symbol(rest string, r rune) {
	switch {
	case strings.HasPrefix(rest, "!="), strings.HasPrefix(rest, "->"):
		s.emit(tokenSymbol, 2)
	case slices.Contains([]rune("={}()[],.@~"), r):
		s.emit(tokenSymbol, 1)
	default:
		n, help := s.foreign(rest)
		if leftover(rest[n:]) {
			n++ // of what was meant as a string
		}
		s.invalid(n, diag.InvalidCharacter, fmt.Sprintf("%q is no part of the language here", r), help)
	}
}
