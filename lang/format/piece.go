// SPDX-License-Identifier: Apache-2.0

package format

import (
	"slices"
	"strings"

	"mpol/lang"
)

// piece is a token with the comments that stand before it. The last piece is the end of the file.
type piece struct {
	token lang.Token
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

// scan returns the pieces of a text, commas that only end a list left out. A comment before a comma
// comes behind it.
func scan(name string, text []byte) []piece {
	tokens, comments := lang.Scan(name, text)
	pieces := make([]piece, 0, len(tokens))
	line := 0 // where the last token or comment ended
	var held []comment
	for i, t := range tokens {
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

// depths returns for each piece how many brackets are open around it; a bracket is outside of itself.
func depths(ps []piece) []int {
	list := make([]int, len(ps))
	depth := 0
	for i, p := range ps {
		if slices.Contains([]string{")", "]", "}"}, p.text()) {
			depth--
		}
		list[i] = depth
		if slices.Contains([]string{"(", "[", "{"}, p.text()) {
			depth++
		}
	}
	return list
}

// index returns the place of the first piece outside of brackets that is one of words, from place lo
// on, len(ps) when there is none.
func index(ps []piece, lo int, words ...string) int {
	depth := depths(ps)
	for i := lo; i < len(ps); i++ {
		if depth[i] == 0 && slices.Contains(words, ps[i].text()) && !(i > 0 && ps[i-1].text() == ".") {
			return i
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
		return i > 1 && lang.IsString(ps[i-2].token)
	}
	return true
}

// flat returns pieces on one line; ok is false where a comment stands between them.
func flat(ps []piece) (text string, ok bool) {
	var b strings.Builder
	ok = true
	for i, p := range ps {
		if i > 0 {
			ok = ok && len(p.lead) == 0
			if spaced(ps, i) {
				b.WriteByte(' ')
			}
		}
		b.WriteString(p.text())
	}
	return b.String(), ok
}
