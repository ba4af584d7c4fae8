// SPDX-License-Identifier: Apache-2.0

package verdict

import "strings"

// JudgePath returns the path by which rules judge a request with the raw :path or request target
// raw; false means that the request is refused whatever the rules. The steps and their order are
// those of the language; the query is dropped first. What is no path or has a byte outside of
// printable ASCII is refused too.
func JudgePath(raw string) (path string, ok bool) {
	if !strings.HasPrefix(raw, "/") || strings.Contains(raw, "#") {
		return "", false
	}
	raw, _, _ = strings.Cut(raw, "?")
	raw, ok = unescape(raw)
	if !ok {
		return "", false
	}
	raw = strings.ReplaceAll(raw, `\`, "/")
	segments := strings.Split(raw[1:], "/")
	for i, s := range segments {
		name, _, parameters := strings.Cut(s, ";")
		if parameters && name == "" {
			return "", false
		}
		segments[i] = name
	}
	return "/" + strings.Join(clean(segments), "/"), true
}

// unescape decodes unreserved escapes and writes the others in upper case. An escape that is none,
// %00, %2f and %5c are refused.
func unescape(raw string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] <= ' ' || raw[i] >= 0x7f {
			return "", false
		}
		if raw[i] != '%' {
			b.WriteByte(raw[i])
			continue
		}
		if i+2 >= len(raw) {
			return "", false
		}
		high, ok1 := hexDigit(raw[i+1])
		low, ok2 := hexDigit(raw[i+2])
		c := high<<4 | low
		switch {
		case !ok1 || !ok2 || c == 0 || c == '/' || c == '\\':
			return "", false
		case isLabelRune(rune(c)) || c == '.' || c == '~':
			b.WriteByte(c)
		default:
			b.WriteString(strings.ToUpper(raw[i : i+3]))
		}
		i += 2
	}
	return b.String(), true
}

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
