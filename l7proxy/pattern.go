// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"mpol/compiler/program"
)

// label is one label of a host that can be read; readableHost a whole host or server name, IP
// literals included. What is outside of them matches no allow and every deny.
const (
	labelByte    = `[0-9A-Za-z_-]`
	readableHost = `(?:` + labelByte + `+(?:\.` + labelByte + `+)*|\[[0-9A-Fa-f:.]+\])`
	hostTail     = `\.?(?::[0-9]+)?`
	sniTail      = `\.?`
)

// nameRegexp translates a pattern label by label into an expression over a whole name without its
// trailing dot, to be anchored by the caller. The zero pattern gives an expression that matches
// nothing.
func nameRegexp(p program.NamePattern) string {
	labels := p.Labels()
	if len(labels) == 0 {
		return `[^\x00-\x{10FFFF}]`
	}
	parts := make([]string, 0, len(labels))
	for i, l := range labels {
		switch {
		case l == "**" && i == 0:
			parts = append(parts, labelByte+`+(?:\.`+labelByte+`+)*`)
		case l == "*":
			parts = append(parts, labelByte+`+`)
		default:
			parts = append(parts, labelRegexp(l))
		}
	}
	return strings.Join(parts, `\.`)
}

func labelRegexp(label string) string {
	literals := strings.Split(label, "*")
	for i, l := range literals {
		literals[i] = regexp.QuoteMeta(l)
	}
	return strings.Join(literals, labelByte+"*")
}

// anchored wraps an expression so that it holds for a whole text only, ignoring case if fold. The
// tail follows the expression.
func anchored(expression, tail string, fold bool) string {
	flags := "s"
	if fold {
		flags = "is"
	}
	return `\A(?` + flags + `:(?:` + expression + `)` + tail + `)\z`
}

// pathRegexp translates a path pattern into an expression over the path as Envoy has it, to be
// anchored by the caller. For a deny a trailing slash is ignored.
func pathRegexp(p program.PathPattern, deny bool) string {
	if p.Regexp != "" {
		if deny {
			return `(?:` + withoutSlash(p.Regexp) + `)/?`
		}
		return p.Regexp
	}
	var b strings.Builder
	for _, s := range p.Segments {
		b.WriteByte('/')
		if s.Any {
			b.WriteString(`[^/]+`)
		} else {
			b.WriteString(segmentRegexp(s.Literal, deny))
		}
	}
	switch {
	case p.Subtree:
		b.WriteString(`(?:/.*)?`)
	case deny && len(p.Segments) > 0:
		b.WriteString(`/?`)
	case p.TrailingSlash || len(p.Segments) == 0:
		b.WriteByte('/')
	}
	return b.String()
}

// withoutSlash cuts a slash at the end of an expression, where it is one and no part of an escape.
func withoutSlash(expression string) string {
	for _, slash := range []string{`\/`, `/`} {
		if cut, ok := strings.CutSuffix(expression, slash); ok && !strings.HasSuffix(cut, `\`) {
			return cut
		}
	}
	return expression
}

// segmentRegexp closes two gaps between the judged form of a path and Envoy's: Envoy leaves the
// case of escapes as it was, where the judged form has them in upper case, and escapes raw bytes
// that RFC 3986 has no place for. Such a byte in a pattern is denied escaped as well.
func segmentRegexp(literal string, deny bool) string {
	var b strings.Builder
	for i := 0; i < len(literal); i++ {
		c := literal[i]
		switch {
		case c == '%' && i+2 < len(literal):
			b.WriteString(`%(?i:` + regexp.QuoteMeta(literal[i+1:i+3]) + `)`)
			i += 2
		case c >= utf8.RuneSelf:
			fmt.Fprintf(&b, `%%(?i:%02X)`, c)
		case deny && !plain(c):
			fmt.Fprintf(&b, `(?:%s|%%%02X)`, regexp.QuoteMeta(string(rune(c))), c)
		default:
			b.WriteString(regexp.QuoteMeta(literal[i : i+1]))
		}
	}
	return b.String()
}

// plain reports whether a byte means itself in a path and nothing else does (RFC 3986, 3.3, pchar
// without escapes).
func plain(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0
}

// pathLiteral returns the text of a pattern without wildcards: its segments joined, without a
// trailing slash, and whether the pattern is such a text (Subtree may be set).
func pathLiteral(p program.PathPattern) (string, bool) {
	if p.Regexp != "" {
		return "", false
	}
	var b strings.Builder
	for _, s := range p.Segments {
		if s.Any || strings.ContainsFunc(s.Literal, func(r rune) bool { return r > 0x7f || !plain(byte(r)) }) {
			return "", false
		}
		b.WriteString("/" + s.Literal)
	}
	return b.String(), true
}
