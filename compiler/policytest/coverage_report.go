// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"mpol/lang/diag"
)

// WriteText writes for a terminal what is not covered, each rule with a test that would cover it, and
// the summary.
func (c *Coverage) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, part := range []struct {
		what string
		list []Covered
	}{{"rule", c.Rules}, {"request", c.Requests}, {"comparison", c.Atoms}} {
		for _, it := range part.list {
			if it.Covered {
				continue
			}
			fmt.Fprintf(&b, "%s: no test covers the %s %s\n", it.Span, part.what, it.Name)
			if it.Witness != nil {
				for line := range strings.SplitSeq(it.Witness.String(), "\n") {
					fmt.Fprintf(&b, "    %s\n", line)
				}
			}
		}
	}
	b.WriteString(c.Summary() + "\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write coverage: %w", err)
	}
	return nil
}

const htmlHead = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Policy coverage</title><style>
body { font-family: sans-serif; margin: 2em; color: #222; background: #fff }
pre { background: #f7f7f7; padding: 1em; overflow-x: auto; line-height: 1.4 }
.yes { background: #c9efc9 } .no { background: #f7c8c8 } .part { background: #f7ebb8 }
.n { color: #999; user-select: none } td, th { text-align: left; padding: 0 1em 0 0 }
</style></head><body>
`

// WriteHTML writes a page with the sources in file order: rules that are covered, in part or not at
// all have their colours, and what is not covered stands below with a test for it.
func (c *Coverage) WriteHTML(w io.Writer, files []string, text func(string) []byte) error {
	var b strings.Builder
	b.WriteString(htmlHead)
	fmt.Fprintf(&b, "<h1>Policy coverage</h1>\n<p>%s</p>\n", html.EscapeString(c.Summary()))
	b.WriteString(`<p><span class="yes">covered</span> <span class="part">in part</span> <span class="no">not covered</span></p>` + "\n")
	for _, f := range files {
		rules := slices.DeleteFunc(slices.Clone(c.Rules), func(r Covered) bool { return r.Span.File != f })
		fmt.Fprintf(&b, "<h2>%s</h2>\n<pre>", html.EscapeString(f))
		c.htmlFile(&b, string(text(f)), rules)
		b.WriteString("</pre>\n")
	}
	b.WriteString("<h2>Not covered</h2>\n<table>\n")
	for _, it := range slices.Concat(c.Rules, c.Requests, c.Atoms) {
		if it.Covered {
			continue
		}
		fmt.Fprintf(&b, "<tr><td>%s</td><td>%s</td></tr>\n", html.EscapeString(it.Span.String()), html.EscapeString(it.Name))
		if it.Witness != nil {
			fmt.Fprintf(&b, "<tr><td></td><td><pre>%s</pre></td></tr>\n", html.EscapeString(it.Witness.String()))
		}
	}
	b.WriteString("</table>\n</body></html>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write coverage: %w", err)
	}
	return nil
}

// htmlFile writes one source with its rules in their colours.
func (c *Coverage) htmlFile(b *strings.Builder, text string, rules []Covered) {
	number := 1
	fmt.Fprintf(b, `<span class="n">%4d </span>`, number)
	plain := func(s string) {
		for i, line := range strings.Split(s, "\n") {
			if i > 0 {
				number++
				fmt.Fprintf(b, "\n<span class=\"n\">%4d </span>", number)
			}
			b.WriteString(html.EscapeString(line))
		}
	}
	at := 0
	for _, r := range rules {
		if r.Span.Start.Offset < at || r.Span.End.Offset > len(text) {
			continue
		}
		plain(text[at:r.Span.Start.Offset])
		fmt.Fprintf(b, `<span class="%s" title="%s">`, c.color(r), html.EscapeString(r.Name))
		plain(text[r.Span.Start.Offset:r.Span.End.Offset])
		b.WriteString("</span>")
		at = r.Span.End.Offset
	}
	plain(text[at:])
}

// color is the class of a rule: in part where a line of its L7 part or a comparison in it is not
// covered.
func (c *Coverage) color(r Covered) string {
	if !r.Covered {
		return "no"
	}
	inside := func(s diag.Span) bool {
		return s.File == r.Span.File && r.Span.Start.Offset <= s.Start.Offset && s.End.Offset <= r.Span.End.Offset
	}
	if slices.ContainsFunc(slices.Concat(c.Requests, c.Atoms), func(p Covered) bool { return !p.Covered && inside(p.Span) }) {
		return "part"
	}
	return "yes"
}
