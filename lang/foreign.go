// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// foreign returns how much of rest, which begins with no token, is one mistake, and what its author,
// who may think of another language, writes here instead.
func (s *scanner) foreign(rest string) (n int, help string) {
	line, _, _ := strings.Cut(rest, "\n")
	line = strings.TrimSuffix(line, "\r")
	_, n = utf8.DecodeRuneInString(rest)
	switch {
	case (strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, "/*")) && !s.sticks(s.last()):
		return len(line), "a comment begins with #"
	case rest[0] == ';':
		return n, "remove it: nothing stands between declarations or rules, and a comma between the items of a list"
	case rest[0] == '\'':
		if end := strings.IndexByte(line[1:], '\''); end >= 0 {
			return end + 2, "strings stand in double quotes: write " + fmt.Sprintf("%q", line[1:end+1])
		}
		return n, "strings stand in double quotes"
	case rest[0] == '&':
		return len(line) - len(strings.TrimLeft(line, "&")), "write and"
	case rest[0] == '|' && strings.ToUpper(s.last().Value) == s.last().Value && s.last().Type == tokenIdent:
		return n, "write a comma between methods"
	case rest[0] == '|':
		return len(line) - len(strings.TrimLeft(line, "|")), "write or"
	case rest[0] == '!':
		return n, "write not"
	case rest[0] == '/':
		return s.slash(line)
	case strings.HasPrefix(rest, "*.") || strings.HasPrefix(rest, "**."):
		n = strings.IndexAny(line+" ", " \t,\"{}()")
		return n, fmt.Sprintf("quote it: %q", line[:n])
	case strings.HasPrefix(rest, "<-"):
		return len("<-"), "the end that opens the flow stands first: write ->"
	case rest[0] == '-' && s.last().Value == "order":
		return n, "an order is a number from 0 on"
	case rest[0] == '-' && s.last().Type == tokenAddress && !s.sticks(s.last()):
		return n, "write except for -"
	case rest[0] == '*' && s.last().Value == "for":
		return n, "write workloads"
	case rest[0] == '*' && s.last().Type == tokenL4 && s.sticks(s.last()):
		return n, "write " + s.last().Value + "any"
	case rest[0] == '*':
		return len(line) - len(strings.TrimLeft(line, "*")), "write any"
	case rest[0] == '>':
		return n, "write ->"
	case rest[0] == '-', rest[0] == ':':
		if n, help = s.stretch(line); help != "" {
			return n, help
		}
		n = 1
	}
	switch {
	case rest[0] == ':' && len(s.tokens) > 1 && declares(s.tokens[len(s.tokens)-2].Value):
		return n, "write ="
	case rest[0] == ':' && len(s.tokens) > 0 && s.tokens[len(s.tokens)-1].Type == tokenIdent:
		return n, fmt.Sprintf("write a label without a space: %s:", s.tokens[len(s.tokens)-1].Value)
	}
	return n, "remove it, or put it into a string"
}

// slash returns as foreign does what a / and the word behind it was meant to be: a protocol and port,
// or the text of a string.
func (s *scanner) slash(line string) (n int, help string) {
	n = 1
	for n < len(line) && (identLength(line[n:]) > 0 || strings.IndexByte("0123456789./-*", line[n]) >= 0) {
		n++
	}
	before := s.adjacent()
	if last := s.last(); last.Type == tokenNumber && s.sticks(last) && isProtocol(line[1:n]) {
		return n, fmt.Sprintf("write %s/%s", line[1:n], last.Value) // a port before its protocol
	}
	if before == "" && n > 1 {
		n = strings.IndexAny(line+" ", " \t,\"")
	}
	switch text := line[:n]; {
	case n == 1:
		return n, "remove it, or put it into a string"
	case before == "":
		return n, fmt.Sprintf("quote it: %q", text)
	default:
		if strings.HasPrefix(before, "http") && span(text[1:], "0123456789") == len(text)-1 {
			return n, "write tcp" + text
		}
		if near := diag.Nearest(strings.ToLower(before), []string{"tcp", "udp", "sctp", "icmp", "icmpv6", "ip"}); near != "" {
			return n, "write " + near + text
		}
		return n, fmt.Sprintf("quote it: %q", before+text)
	}
}

// link reports the URL that rest begins with.
func (s *scanner) link(rest string) {
	n := strings.IndexAny(rest+"\n", " \t\r\n\",")
	help := "name its host in double quotes"
	if u, err := url.Parse(rest[:n]); err == nil && u.Hostname() != "" {
		help = fmt.Sprintf("name its host: %q", u.Hostname())
	}
	s.invalid(n, diag.InvalidCharacter, "a URL is no part of the language", help)
}

// adjacent returns the words and dots that stand right before the scanner's place.
func (s *scanner) adjacent() string {
	at := s.pos.Offset
	for i := len(s.tokens) - 1; i >= 0; i-- {
		t := s.tokens[i]
		word := t.Type == tokenIdent || t.Type == tokenKeyword || t.Value == "."
		if !word || t.Pos.Offset+len(t.Value) != at {
			break
		}
		at = t.Pos.Offset
	}
	return s.text[at:s.pos.Offset]
}

// last returns the token before the scanner's place, the zero token when there is none.
func (s *scanner) last() lexer.Token {
	if len(s.tokens) == 0 {
		return lexer.Token{}
	}
	return s.tokens[len(s.tokens)-1]
}

// sticks reports whether a token ends at the scanner's place.
func (s *scanner) sticks(t lexer.Token) bool { return t.Pos.Offset+len(t.Value) == s.pos.Offset }

// stretch returns as foreign does what a - or : and what sticks to it was meant to be, behind what sticks to
// it: the end of a range, or the rest of a date.
func (s *scanner) stretch(line string) (n int, help string) {
	last := s.last()
	if !s.sticks(last) {
		return 0, ""
	}
	n = 1 + span(line[1:], "0123456789-")
	switch {
	case last.Type == tokenAddress:
		n = 1 + span(line[1:], "0123456789abcdefABCDEF.:/")
		return n, addressRange(last.Value, line[1:n])
	case last.Type == tokenL4 && n > 1:
		return n, fmt.Sprintf("write %s-%s", last.Value, line[1:n])
	case last.Type == tokenNumber && len(last.Value) == 4 && n == len("-01-01"):
		return n, fmt.Sprintf("quote it: %q", last.Value+line[:n])
	}
	return 0, ""
}
