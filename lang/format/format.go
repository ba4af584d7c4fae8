// SPDX-License-Identifier: Apache-2.0

package format

import (
	"fmt"
	"slices"

	"mpol/lang"
	"mpol/lang/diag"
)

// Source returns the canonical form of a text. It is nil when the diagnostics, those of parsing, have
// an error. The error says that the formatter itself is wrong: it does not return a form that reads
// differently.
func Source(name string, text []byte) ([]byte, diag.List, error) {
	file, diags := lang.Parse(name, text)
	if diags.HasErrors() {
		return nil, diags, nil
	}
	pieces := piecesOf(text, file.Tokens(), file.Comments)
	p := printer{lines: make([]line, 0, pieces[len(pieces)-1].token.Pos.Line)}
	p.file(pieces)
	p.align()
	out := p.bytes()
	tokens, comments := lang.Scan(name, out)
	if at, same := compare(pieces, piecesOf(out, tokens, comments)); !same {
		return nil, nil, fmt.Errorf("format %s: the result differs from the text at %q", name, at)
	}
	return out, nil, nil
}

// compare reports whether two texts have the same tokens and comments, and where they differ first.
func compare(a, b []piece) (at string, same bool) {
	for i := range a {
		if i >= len(b) || !slices.EqualFunc(a[i].lead, b[i].lead, func(c, d comment) bool { return c.text == d.text && c.own == d.own }) ||
			a[i].text() != b[i].text() {
			return a[i].text(), false
		}
	}
	return "", len(a) == len(b)
}
