// SPDX-License-Identifier: Apache-2.0

package program

import "strings"

// Name is a DNS name as the labels of its wire form, ASCII letters lowered, the root label left
// out. Labels are bytes: one may hold a dot.
type Name []string

// ParseName splits dotted text without escapes, drops one trailing dot and lowers ASCII letters.
// It is for text that cannot hold escapes: a server name, a host, a name in a test.
func ParseName(text string) Name {
	text = strings.TrimSuffix(text, ".")
	if text == "" {
		return nil
	}
	return strings.Split(lowerASCII(text), ".")
}

// String joins the labels by dots, for messages.
func (n Name) String() string { return strings.Join(n, ".") }

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// NamePattern is a checked name pattern in canonical text: lower case, A-labels, no trailing dot,
// such as "*.example.com", "**.example.com", "api-*.example.com". The zero value matches nothing.
type NamePattern string

// Labels returns the labels of the pattern; the first may be "**".
func (p NamePattern) Labels() []string {
	if p == "" {
		return nil
	}
	return strings.Split(string(p), ".")
}

// Matches reports whether n is a name of the pattern. "*" inside a label is any run of characters
// of that label, a whole-label "*" exactly one label, a leftmost "**" one or more labels.
func (p NamePattern) Matches(n Name) bool {
	behind, deep := strings.CutPrefix(string(p), "**.")
	above := len(n) - 1 - strings.Count(behind, ".")
	switch {
	case p == "":
		return false
	case p == "**":
		return len(n) > 0
	case deep:
		return above > 0 && matchLabels(behind, n[above:])
	}
	return above == 0 && matchLabels(behind, n)
}

// matchLabels compares a pattern without "**" with as many labels as it has, one by one.
func matchLabels(pattern string, n Name) bool {
	for _, label := range n {
		var l string
		l, pattern, _ = strings.Cut(pattern, ".")
		if l != "*" && !matchLabel(l, label) {
			return false
		}
	}
	return true
}

// matchLabel compares one label with a pattern in which each "*" is any run of bytes.
func matchLabel(pattern, label string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == label
	}
	label, ok := strings.CutPrefix(label, head)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(label, part)
		}
		i := strings.Index(label, part)
		if i < 0 {
			return false
		}
		label, rest = label[i+len(part):], next
	}
}

// Meets reports whether two patterns have a name in common.
func (p NamePattern) Meets(q NamePattern) bool {
	a, b := p.Labels(), q.Labels()
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	if a[0] != "**" && len(a) < len(b) || b[0] != "**" && len(b) < len(a) {
		return false // ** is one label or more, so a pattern is never longer than its names
	}
	for i := 1; i <= min(len(a), len(b)); i++ {
		x, y := a[len(a)-i], b[len(b)-i]
		if x == "**" || y == "**" {
			return true
		}
		if !labelsMeet(x, y) {
			return false
		}
	}
	return true
}

// Covers reports whether every name of q is one of p.
func (p NamePattern) Covers(q NamePattern) bool {
	if q == "" || strings.HasPrefix(string(q), "**") && !strings.HasPrefix(string(p), "**") {
		return false
	}
	// No label holds a NUL, so what covers it is a "*" of p, which covers everything else in its place.
	least := strings.ReplaceAll(strings.ReplaceAll(string(q), "**", "*"), "*", "\x00")
	return p.Matches(strings.Split(least, "."))
}

// labelsMeet reports whether one label matches both patterns of a label. It fills, from the ends, the
// table of which rest of a meets which rest of b.
func labelsMeet(a, b string) bool {
	var below []bool
	for i := len(a); i >= 0; i-- {
		row := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*':
				row[j] = below[j] || j < len(b) && row[j+1]
			case j < len(b) && b[j] == '*':
				row[j] = row[j+1] || i < len(a) && below[j]
			case i < len(a) && j < len(b):
				row[j] = a[i] == b[j] && below[j+1]
			}
		}
		below = row
	}
	return below[0]
}
