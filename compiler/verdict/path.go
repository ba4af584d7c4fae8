// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"strings"
)

// JudgePath returns the path by which rules judge a request with the raw :path or request target
// raw; false means that the request is refused whatever the rules. The query is dropped first. What
// is no path is refused too.
//
// The steps are those of the language, in the order in which a proxy can take them that judges what
// it forwards. That differs from the language's own order in paths that no honest client writes: dot
// segments are removed before parameters are dropped, except the parameters of "." and ".."
// themselves. A dot segment that shows only later (its dots escaped or behind a backslash, and with
// parameters), a segment of parameters only and a bad escape are refused where they are left; what a
// ".." removes is gone, from what is judged and from what the server gets.
func JudgePath(raw string) (path string, ok bool) {
	p, ok := judgePath(raw)
	return p.text, ok
}

// judged is a path as rules judge it, and the segments of it. Lower says that some escape in it came
// in lower case.
type judged struct {
	text     string
	segments []string // none of "/"; a trailing slash adds none
	lower    bool
}

func newJudged(text string, lower bool) judged {
	j := judged{text: text, lower: lower}
	if text != "/" {
		j.segments = strings.Split(strings.Trim(text, "/"), "/")
	}
	return j
}

func judgePath(raw string) (judged, bool) {
	if !strings.HasPrefix(raw, "/") || strings.Contains(raw, "#") {
		return judged{}, false
	}
	raw, query, _ := strings.Cut(raw, "?")
	switch {
	case strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return judged{}, false
	case isPlain(raw):
		return newJudged(raw, false), true
	case hasEscapedSlash(raw):
		return judged{}, false
	}
	raw, ok := unescape(bareDots(raw))
	if !ok {
		return judged{}, false
	}
	segments := clean(strings.Split(strings.ReplaceAll(raw, `\`, "/")[1:], "/"))
	for i, s := range segments {
		name, _, parameters := strings.Cut(s, ";")
		if parameters && (name == "" || name == "." || name == "..") || hasBadEscape(s) {
			return judged{}, false
		}
		segments[i] = name
	}
	path := "/" + strings.Join(segments, "/")
	upper := upperEscapes(path)
	return newJudged(upper, upper != path), true
}

// isPlain reports whether no step changes or refuses a path that begins with a slash: it has nothing
// but unreserved characters, and no segment is empty or begins with a dot.
func isPlain(raw string) bool {
	for i := 1; i < len(raw); i++ {
		switch c := raw[i]; {
		case !unreserved(c) && c != '/', (c == '.' || c == '/') && raw[i-1] == '/':
			return false
		}
	}
	return true
}

func hasEscapedSlash(raw string) bool {
	raw = strings.ToLower(raw)
	return strings.Contains(raw, "%2f") || strings.Contains(raw, "%5c")
}

// bareDots cuts the parameters, up to the next slash, of segments that are written "." or "..".
func bareDots(raw string) string {
	segments := strings.Split(raw, "/")
	for i, s := range segments {
		if name, _, parameters := strings.Cut(s, ";"); parameters && (name == "." || name == "..") {
			segments[i] = name
		}
	}
	return strings.Join(segments, "/")
}

// unescape decodes unreserved escapes and leaves the others, and escapes what has no place in a path
// (RFC 3986, section 3.3). A control byte and %00 are refused.
func unescape(raw string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c, width := decode(raw[i:])
		switch {
		case c == 0, width == 1 && (c <= ' ' || c == 0x7f):
			return "", false
		case width == 1 && c == '%' && nested(raw[i+1:]):
			b.WriteString("%25")
		case width == 1 && (c > 0x7f || strings.IndexByte("\"<>^`{|}", c) >= 0):
			fmt.Fprintf(&b, "%%%02X", c)
		case width == 1 || unreserved(c):
			b.WriteByte(c)
		default:
			b.WriteString(raw[i : i+width])
		}
		i += width - 1
	}
	return b.String(), true
}

func hasBadEscape(s string) bool {
	for i := 0; i < len(s); i++ {
		c, width := decode(s[i:])
		if c == '%' && width == 1 {
			return true
		}
		i += width - 1
	}
	return false
}

func upperEscapes(path string) string {
	b := []byte(path)
	for i := range b {
		if b[i] == '%' {
			copy(b[i:i+3], strings.ToUpper(path[i:i+3]))
		}
	}
	return string(b)
}

// decode reads one byte, escaped or not, and returns how many bytes it takes.
func decode(s string) (c byte, width int) {
	if s[0] == '%' && len(s) > 2 {
		high, ok1 := hexDigit(s[1])
		low, ok2 := hexDigit(s[2])
		if ok1 && ok2 {
			return high<<4 | low, 3
		}
	}
	return s[0], 1
}

// nested reports whether a "%" before s, which begins no escape, would begin one once s is decoded
// ("%%41e"). Such a "%" stands for itself, so that nothing is ever decoded twice.
func nested(s string) bool {
	for range 2 {
		if s == "" {
			return false
		}
		c, width := decode(s)
		if _, ok := hexDigit(c); !ok {
			return false
		}
		s = s[width:]
	}
	return true
}

func unreserved(c byte) bool { return isLabelRune(rune(c)) || c == '.' || c == '~' }

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// clean removes dot segments (RFC 3986, section 5.2.4), then empty ones but for a trailing slash.
func clean(segments []string) []string {
	var out []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "..":
			out = out[:max(0, len(out)-1)]
			if last {
				out = append(out, "")
			}
		case ".":
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	merged := out[:0]
	for i, s := range out {
		if s != "" || i == len(out)-1 && len(merged) > 0 {
			merged = append(merged, s)
		}
	}
	return merged
}
