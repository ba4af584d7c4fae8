// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// l7 resolves the L7 part of a rule, nil when there is none.
func (c *checker) l7(r *lang.Rule, annotations []*lang.Annotation) *program.L7 {
	switch {
	case r.HTTP != nil:
		out := &program.L7{Kind: program.L7HTTP}
		if len(r.HTTP.Requests) == 0 {
			c.errorAt(diag.Empty, r.HTTP.Span(), "the http part is empty", `write http { any "/**" } for every request`)
		}
		for _, q := range r.HTTP.Requests {
			if h, ok := c.request(q, annotations); ok {
				out.HTTP = append(out.HTTP, h)
			}
		}
		return out
	case r.TLS != nil:
		out := &program.L7{Kind: program.L7TLS}
		for _, t := range lang.Items(r.TLS.Names) {
			out.SNI = append(out.SNI, c.serverNames(t, annotations)...)
		}
		out.SNI = sortedPatterns(out.SNI)
		return out
	}
	return nil
}

func (c *checker) request(q *lang.HTTPRequest, annotations []*lang.Annotation) (program.HTTPRequest, bool) {
	var out program.HTTPRequest
	ok := true
	for _, m := range lang.Items(q.Methods) {
		ok = c.method(m) && ok
		if !slices.Contains(out.Methods, m.Value) {
			out.Methods = append(out.Methods, m.Value)
		}
	}
	var good bool
	out.Path, good = c.pathPattern(q.Path, q.Regexp)
	ok = ok && good
	if q.Host != nil {
		p, good := c.pattern(*q.Host, annotations)
		out.Host = &p
		ok = ok && good
	}
	return out, ok
}

// method checks [A-Z][A-Z-]*.
func (c *checker) method(t lang.Token) bool {
	switch m := t.Value; {
	case m == "CONNECT":
		c.errorAt(diag.NotSupported, lang.SpanOf(t), "`CONNECT` is not supported yet", "")
		return false
	case strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" || m[0] == '-':
		c.errorAt(diag.BadMethod, lang.SpanOf(t), fmt.Sprintf("`%s` is no request method", m), "methods are upper case: write "+strings.ToUpper(m))
		return false
	}
	return true
}

// serverNames resolves one item behind sni.
func (c *checker) serverNames(t lang.Token, annotations []*lang.Annotation) []program.NamePattern {
	if lang.IsString(t) {
		p, _ := c.pattern(t, annotations)
		return []program.NamePattern{p}
	}
	sym := c.use(c.sets, t, "domains")
	if sym == nil {
		return nil
	}
	var out []program.NamePattern
	for _, d := range sym.domains {
		if len(d.Except) > 0 {
			c.errorAt(diag.NotSupported, lang.SpanOf(t), fmt.Sprintf("`%s`, which has an except, is not supported yet as a server name", t.Value), "name its patterns")
			return nil
		}
		out = append(out, d.Patterns...)
	}
	return out
}

// l7Protocol checks that an L7 part stands over TCP and warns of http where TLS is to be expected.
func (c *checker) l7Protocol(r *lang.Rule, out *Rule, dir program.Direction) {
	for _, l := range out.L4 {
		if l.Any || l.Proto != program.ProtoTCP {
			c.errorAt(diag.L7Protocol, out.L4Span, fmt.Sprintf("the %s part is over TCP only", out.L7.Kind), "write on tcp/any, or a tcp port")
			return
		}
		if out.L7.Kind == program.L7HTTP && dir == program.Egress && l.Contains(program.ProtoTCP, 443) && l != everyPort(program.ProtoTCP) {
			c.warnAt(diag.L7Encrypted, out.L4Span, "what goes to port 443 is encrypted, and no request in it can be read", "write tls { sni \"...\" }")
			return
		}
	}
}
