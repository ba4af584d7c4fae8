// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"regexp/syntax"
	"strings"

	"mpol/compiler/program"
)

// pathOf returns a path that a pattern matches.
func pathOf(p program.PathPattern) string {
	if p.Regexp != "" {
		return example(p.Regexp)
	}
	path := ""
	for _, s := range p.Segments {
		if s.Any {
			s.Literal = "x"
		}
		path += "/" + s.Literal
	}
	if path == "" || p.TrailingSlash {
		path += "/"
	}
	return path
}

// unnamedSegment is a segment of a path that no rule names.
const unnamedSegment = "path-that-no-rule-names"

// unnamedPaths returns paths of every length that rules tell apart and, where some rule has an expression,
// with characters that it may tell apart.
func unnamedPaths(rules []*program.Rule) []string {
	longest, expressions := 0, false
	for _, r := range rules {
		if r.L7 == nil {
			continue
		}
		for _, h := range r.L7.HTTP {
			longest, expressions = max(longest, len(h.Path.Segments)), expressions || h.Path.Regexp != ""
		}
	}
	segments := []string{unnamedSegment}
	if expressions {
		segments = append(segments, strings.Repeat("long", 100))
		for _, c := range []string{"a", "Z", "0", "-", ".", "_", "~", "!", "$", "&", "'", "(", ")", "*", "+", ",", "=", ":", "@", "%20", "%C3%A9"} {
			segments = append(segments, c+unnamedSegment, unnamedSegment+c)
		}
	}
	paths := []string{"/"}
	for _, s := range segments {
		for n := 1; n <= longest+1; n++ {
			path := strings.Repeat("/"+s, n)
			paths = append(paths, path, path+"/")
		}
	}
	return paths
}

// besides returns paths that a pattern may miss by a slash or a segment.
func besides(p program.PathPattern) []string {
	path := pathOf(p)
	bare := strings.TrimSuffix(path, "/")
	return []string{bare + "/", bare + "/" + unnamedSegment, "/" + unnamedSegment + path, "/" + strings.TrimPrefix(bare, "/")}
}

// example returns a text that an expression matches, as far as it has no conditions on its edges.
func example(expression string) string {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return ""
	}
	return exampleOf(re.Simplify())
}

func exampleOf(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return runeOf(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		return exampleOf(re.Sub[0])
	case syntax.OpConcat:
		var b strings.Builder
		for _, s := range re.Sub {
			b.WriteString(exampleOf(s))
		}
		return b.String()
	}
	return ""
}

// runeOf returns a character of a class, given as ranges: one that paths and headers may hold, if it has
// one.
func runeOf(class []rune) string {
	has := func(r rune) bool {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= r && r <= class[i+1] {
				return true
			}
		}
		return false
	}
	for _, r := range "x0-_.~!*,:@X/" {
		if has(r) {
			return string(r)
		}
	}
	if len(class) == 0 {
		return ""
	}
	return string(class[:1])
}
