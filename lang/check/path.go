// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// pathPattern reads a path pattern, or an expression over the whole path.
func (c *checker) pathPattern(t lang.Token, isRegexp bool) (program.PathPattern, bool) {
	text := lang.Text(t)
	if isRegexp {
		if fault, help := regexpFault(text); fault != "" {
			c.errorAt(diag.BadPath, lang.SpanOf(t), fmt.Sprintf("%s is no expression for a path: %s", t.Value, fault), help)
			return program.PathPattern{}, false
		}
		return program.PathPattern{Text: text, Regexp: text}, true
	}
	p, fault, help := parsePath(text)
	if fault != "" {
		c.errorAt(diag.BadPath, lang.SpanOf(t), fmt.Sprintf("%s is no path pattern: %s", t.Value, fault), help)
		return program.PathPattern{}, false
	}
	c.colonPath(t)
	return p, true
}

// colonPath warns of segments that look like the parameters of other languages.
func (c *checker) colonPath(t lang.Token) {
	found := ""
	segments := strings.Split(lang.Text(t), "/")
	for i, s := range segments {
		if name, ok := strings.CutPrefix(s, ":"); ok && lang.IsIdentifier(name) {
			found = s
			segments[i] = "{" + name + "}"
		}
	}
	if found != "" {
		c.warnAt(diag.ColonPath, lang.SpanOf(t), fmt.Sprintf("a segment such as `%s` stands for itself: it is no parameter", found),
			fmt.Sprintf("write %q", strings.Join(segments, "/")))
	}
}

// regexpFault says why an expression is no RE2, or why no path, which begins with /, can match it.
func regexpFault(text string) (fault, help string) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "error parsing regexp: "), fmt.Sprintf("expressions are RE2; what stands for itself is escaped: %q", regexp.QuoteMeta(text))
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return err.Error(), "write a shorter expression"
	}
	if !canBegin(prog, '/') {
		return "it is over the whole path, and a path begins with /", fmt.Sprintf("write ~%q for a part of the path", "/.*(?:"+strings.TrimPrefix(text, "^")+").*")
	}
	return "", ""
}

// canBegin reports whether some text that prog matches begins with r.
func canBegin(prog *syntax.Prog, r rune) bool {
	seen := make([]bool, len(prog.Inst))
	todo := []uint32{uint32(prog.Start)}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		switch in := &prog.Inst[i]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			todo = append(todo, in.Out)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if in.MatchRune(r) {
				return true
			}
		}
	}
	return false
}

// parsePath reads a pattern, or says why no judged path can equal it.
func parsePath(text string) (p program.PathPattern, fault, help string) {
	p.Text = text
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return p, "it does not begin with /", fmt.Sprintf("write %q", "/"+text)
	}
	if rest == "" {
		return p, "", ""
	}
	segments := strings.Split(rest, "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "" && last:
			p.TrailingSlash = true
			continue
		case s == "**" && last:
			p.Subtree = true
			continue
		}
		seg, fault, help := parseSegment(s)
		if judged, ok := strings.CutPrefix(help, "write "); ok {
			help = fmt.Sprintf("write %q", "/"+strings.Join(slices.Concat(segments[:i], []string{judged}, segments[i+1:]), "/"))
		}
		if fault != "" {
			return p, fault, help
		}
		p.Segments = append(p.Segments, seg)
	}
	return p, "", ""
}

func parseSegment(s string) (seg program.Segment, fault, help string) {
	switch {
	case s == "":
		return seg, "it has an empty segment", "a judged path has its slashes merged"
	case s == "." || s == "..":
		return seg, fmt.Sprintf("it has the segment %s", s), "a judged path has its dot segments removed"
	case s == "*":
		return program.Segment{Any: true}, "", ""
	case s == "{}":
		return seg, "{} has no name", "name it: {id}"
	case len(s) > 2 && s[0] == '{' && s[len(s)-1] == '}' && isWord(s[1:len(s)-1]):
		return program.Segment{Any: true}, "", ""
	case strings.Contains(s, "**"):
		return seg, "** stands only at the end, behind a /", subtreeHelp(s)
	case strings.ContainsAny(s, "*{}"):
		return seg, fmt.Sprintf("%q is no whole segment", s), "* and {id} stand for a whole segment; use ~\"...\" for a part of one"
	}
	return literalSegment(s)
}

func isWord(s string) bool {
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// literalSegment checks that a judged path can hold a segment as it stands.
func literalSegment(s string) (seg program.Segment, fault, help string) {
	var judged strings.Builder
	for i := 0; i < len(s); i++ {
		b := s[i]
		switch {
		case b == '%':
			n, ok := escape(s[i:])
			switch {
			case !ok:
				return seg, "% begins no escape", "the character itself is %25"
			case n == 0 || n == '/' || n == '\\':
				return seg, fmt.Sprintf("requests with %s are refused", s[i:i+3]), "no rule can allow them and none has to deny them: remove it"
			}
			judged.WriteString(judgedByte(n))
			i += 2
		case strings.IndexByte("#?;\\", b) >= 0:
			return seg, fmt.Sprintf("no judged path holds %q", b), withoutHelp(s, i)
		case b <= ' ' || b >= 0x7f || strings.IndexByte("\"<>^`|", b) >= 0:
			fmt.Fprintf(&judged, "%%%02X", b)
		default:
			judged.WriteByte(b)
		}
	}
	if judged.String() != s {
		return seg, "a judged path does not hold it in this form", "write " + judged.String()
	}
	return program.Segment{Literal: s}, "", ""
}

// escape reads %XX.
func escape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	var n byte
	for _, c := range []byte(strings.ToLower(s[1:3])) {
		i := strings.IndexByte("0123456789abcdef", c)
		if i < 0 {
			return 0, false
		}
		n = n<<4 | byte(i)
	}
	return n, true
}

// judgedByte is an escaped byte as a judged path holds it: itself when it is unreserved (RFC 3986,
// 2.3), else the escape in upper case.
func judgedByte(b byte) string {
	if '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || strings.IndexByte("-._~", b) >= 0 {
		return string(b)
	}
	return fmt.Sprintf("%%%02X", b)
}

// withoutHelp says what to write instead of a segment with a byte at i that no judged path holds.
func withoutHelp(s string, i int) string {
	switch s[i] {
	case '\\':
		return "a judged path has / in its place: write /"
	case '?':
		return "the query is no part of the path: remove it"
	case '#':
		return "the fragment is no part of the path: remove it"
	}
	return "the parameters of a segment are dropped before a path is judged: remove them"
}

// subtreeHelp says what to write instead of a segment with ** that does not end the path by itself.
func subtreeHelp(s string) string {
	if s == "**" {
		return "* stands for one segment, ~\"...\" for what takes several"
	}
	if rest, ok := strings.CutSuffix(s, "**"); ok && !strings.Contains(rest, "*") {
		return "write " + rest + "/**"
	}
	return "use ~\"...\" for what takes a part of a segment"
}
