// SPDX-License-Identifier: Apache-2.0

package lang

// Scan returns the tokens of a text, the last of which is the end of the file, and its comments. It
// is for what works on the text itself, as the formatter does: a text with mistakes is scanned as
// far as it goes, and Parse says what they are.
func Scan(name string, text []byte) ([]Token, []Comment) {
	s := scan(name, text)
	return s.tokens, s.comments
}

// IsKeyword reports whether t is a reserved word.
func IsKeyword(t Token) bool { return t.Type == tokenKeyword }

// IsLabel reports whether t is the label of a rule, its colon included.
func IsLabel(t Token) bool { return t.Type == tokenLabel }
