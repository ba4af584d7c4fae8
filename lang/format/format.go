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
	if _, diags := lang.Parse(name, text); diags.HasErrors() {
		return nil, diags, nil
	}
	pieces := scan(name, text)
	var p printer
	p.file(pieces)
	p.align()
	out := p.bytes()
	if at, same := compare(pieces, scan(name, out)); !same {
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
