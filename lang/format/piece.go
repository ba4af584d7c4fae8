// SPDX-License-Identifier: Apache-2.0

package format

import (
	"slices"
	"strings"
	"unicode/utf8"

	"mpol/lang"
)

// piece is a token with the comments that stand before it. The last piece is the end of the file.
type piece struct {
	token *lang.Token
	lead  []comment
	blank bool // an empty line stands right before the token
}

func (p piece) text() string { return p.token.Value }

// comment is a comment as written, its end trimmed. One that is not own stands behind a token on its
// line; it is then the first of its piece.
type comment struct {
	text  string
	own   bool
	blank bool // an empty line stands right before it
}

// piecesOf returns the pieces of a text with some tokens and comments, commas that only end a list left out. A
// comment before a comma comes behind it.
func piecesOf(text []byte, tokens []lang.Token, comments []lang.Comment) []piece {
	pieces := make([]piece, 0, len(tokens))
	line := 0 // where the last token or comment ended
	var held []comment
	for i := range tokens {
		t := &tokens[i]
		p := piece{token: t, lead: held}
		for len(comments) > 0 && comments[0].Span.Start.Offset < t.Pos.Offset {
			s := comments[0].Span
			p.lead = append(p.lead, comment{
				text:  strings.TrimRight(string(text[s.Start.Offset:s.End.Offset]), " \t"),
				own:   s.Start.Line > line || len(p.lead) > 0,
				blank: line > 0 && s.Start.Line > line+1,
			})
			comments, line = comments[1:], s.End.Line
		}
		p.blank = line > 0 && t.Pos.Line > line+1
		line, held = t.Pos.Line, nil
		if t.Value == "," {
			held, p.lead, p.blank = p.lead, nil, false
			if endsList(tokens[i+1]) {
				continue
			}
		}
		pieces = append(pieces, p)
	}
	return pieces
}

// endsList reports whether a comma before t only ends a list: t is nothing that a list holds.
func endsList(t lang.Token) bool {
	switch {
	case t.EOF(), lang.IsLabel(t), slices.Contains([]string{")", "]", "}", "@"}, t.Value):
		return true
	case !lang.IsKeyword(t):
		return false
	}
	items := []string{
		"any", "none", "workloads", "world", "internet", "host", "node", "same", "not", "has",
		"tcp", "udp", "sctp", "icmp", "icmpv6", "ip",
	}
	return !slices.Contains(items, t.Value)
}

func opens(p piece) bool { return p.text() == "(" || p.text() == "[" || p.text() == "{" }

func closes(p piece) bool { return p.text() == ")" || p.text() == "]" || p.text() == "}" }

// depths returns for each piece how many brackets are open around it; a bracket is outside of itself.
func depths(ps []piece) []int {
	list := make([]int, len(ps))
	depth := 0
	for i, p := range ps {
		if closes(p) {
			depth--
		}
		list[i] = depth
		if opens(p) {
			depth++
		}
	}
	return list
}

// index returns the place of the first piece outside of brackets that is one of words, from place lo
// on, len(ps) when there is none.
func index(ps []piece, lo int, words ...string) int {
	depth := 0
	for i := range ps {
		if closes(ps[i]) {
			depth--
		}
		if i >= lo && depth == 0 && slices.Contains(words, ps[i].text()) && !(i > 0 && ps[i-1].text() == ".") {
			return i
		}
		if opens(ps[i]) {
			depth++
		}
	}
	return len(ps)
}

// spaced reports whether white space stands between ps[i-1] and ps[i] on a line.
func spaced(ps []piece, i int) bool {
	before, after := ps[i-1].text(), ps[i].text()
	switch after {
	case ",", ")", "]", ".":
		return false
	case "(":
		return i < 2 || ps[i-2].text() != "@" // @key(
	}
	switch before {
	case "(", "[", "@", ".":
		return false
	case "~": // before a path, where a header has its name before it
		return i > 1 && lang.IsString(*ps[i-2].token)
	}
	return true
}

// flat returns pieces on one line.
func flat(ps []piece) string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 && spaced(ps, i) {
			b.WriteByte(' ')
		}
		b.WriteString(p.text())
	}
	return b.String()
}

// fits returns pieces on one line; ok is false where a comment stands between them or where there is no room
// for them behind an indentation.
func fits(ps []piece, indent int) (text string, ok bool) {
	least := 0 // characters
	for i, p := range ps {
		least += utf8.RuneCountInString(p.text())
		if i > 0 && len(p.lead) > 0 || least > width {
			return "", false
		}
	}
	text = flat(ps)
	return text, indent+utf8.RuneCountInString(text) <= width
}
