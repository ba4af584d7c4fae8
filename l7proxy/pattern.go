// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"regexp"
	"strings"

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

// pathRegexp translates a path pattern into an expression over a judged path, to be anchored by the
// caller. With slash a trailing slash is ignored.
func pathRegexp(p program.PathPattern, slash bool) string {
	if p.Regexp != "" {
		if slash {
			return `(?:` + p.Regexp + `)/?`
		}
		return p.Regexp
	}
	var b strings.Builder
	for _, s := range p.Segments {
		b.WriteByte('/')
		if s.Any {
			b.WriteString(`[^/]+`)
		} else {
			b.WriteString(regexp.QuoteMeta(s.Literal))
		}
	}
	switch {
	case p.Subtree:
		b.WriteString(`(?:/.*)?`)
	case slash && len(p.Segments) > 0:
		b.WriteString(`/?`)
	case p.TrailingSlash || len(p.Segments) == 0:
		b.WriteByte('/')
	}
	return b.String()
}

// pathLiteral returns the text of a pattern without wildcards: its segments joined, without a
// trailing slash, and whether the pattern is such a text (Subtree may be set).
func pathLiteral(p program.PathPattern) (string, bool) {
	if p.Regexp != "" {
		return "", false
	}
	var b strings.Builder
	for _, s := range p.Segments {
		if s.Any {
			return "", false
		}
		b.WriteString("/" + s.Literal)
	}
	return b.String(), true
}
