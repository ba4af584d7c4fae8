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

// l7Part is what narrows a rule or claim to some requests: at most one field is set.
type l7Part struct {
	http        *lang.HTTP
	grpc        *lang.GRPC
	dns         *lang.DNS
	tls         *lang.TLS
	annotations []*lang.Annotation
}

func (p l7Part) span() diag.Span {
	switch {
	case p.http != nil:
		return p.http.Span()
	case p.grpc != nil:
		return p.grpc.Span()
	case p.dns != nil:
		return p.dns.Span()
	case p.tls != nil:
		return p.tls.Span()
	}
	return diag.Span{}
}

// l7 resolves an L7 part, nil when there is none, and adds its name patterns to uses.
func (c *checker) l7(p l7Part, uses *[]Pattern) *program.L7 {
	switch {
	case p.http != nil:
		return c.httpPart(p, uses)
	case p.grpc != nil:
		return c.grpcPart(p.grpc)
	case p.dns != nil:
		return c.dnsPart(p, uses)
	case p.tls != nil:
		return c.tlsPart(p, uses)
	}
	return nil
}

func (c *checker) httpPart(p l7Part, uses *[]Pattern) *program.L7 {
	out := &program.L7{Kind: program.L7HTTP}
	if len(p.http.Requests) == 0 {
		c.errorAt(diag.Empty, p.http.Span(), "the http part is empty", `write http { any "/**" } for every request`)
	}
	for _, q := range p.http.Requests {
		h, ok := c.request(q, p.annotations)
		if h.Host != nil && ok {
			*uses = append(*uses, c.patternUse(*h.Host, "host", lang.SpanOf(*q.Host)))
		}
		if ok {
			out.HTTP = append(out.HTTP, h)
		}
	}
	return out
}

func (c *checker) tlsPart(p l7Part, uses *[]Pattern) *program.L7 {
	out := &program.L7{Kind: program.L7TLS, Pinned: p.tls.Pinned != nil}
	for _, n := range lang.Split(p.tls.Names) {
		for _, d := range c.serverNames(n, p.annotations) {
			for _, q := range d.Patterns {
				*uses = append(*uses, c.patternUse(q, "sni", n.Span()))
			}
			if len(d.Except)+len(d.Less) > 0 {
				out.SNISets = append(out.SNISets, d)
			} else {
				out.SNI = append(out.SNI, d.Patterns...)
			}
		}
	}
	out.SNI = sortedPatterns(out.SNI)
	return out
}

// dnsPart resolves which questions a rule speaks of.
func (c *checker) dnsPart(p l7Part, uses *[]Pattern) *program.L7 {
	out := &program.L7{Kind: program.L7DNS}
	if len(p.dns.Names) == 0 {
		c.errorAt(diag.Empty, p.dns.Span(), "the dns part names no name", `write dns { "name.example" }`)
	}
	for _, t := range lang.Items(p.dns.Names) {
		q, ok := c.pattern(t, p.annotations)
		if ok {
			*uses = append(*uses, c.patternUse(q, "dns", lang.SpanOf(t)))
		}
		out.DNS = append(out.DNS, q)
	}
	out.DNS = sortedPatterns(out.DNS)
	for _, t := range lang.Items(p.dns.Types) {
		if n, ok := c.dnsType(t); ok {
			out.Types = append(out.Types, n)
		}
	}
	slices.Sort(out.Types)
	out.Types = slices.Compact(out.Types)
	return out
}

func (c *checker) request(q *lang.HTTPRequest, annotations []*lang.Annotation) (program.HTTPRequest, bool) {
	var out program.HTTPRequest
	ok := true
	for _, m := range lang.Items(q.Methods) {
		ok = c.method(m) && ok
		out.Methods = append(out.Methods, m.Value)
	}
	out.Methods = distinct(out.Methods)
	var good bool
	out.Path, good = c.pathPattern(q.Path, q.Regexp)
	ok = ok && good
	if q.Host != nil {
		p, good := c.pattern(*q.Host, annotations)
		out.Host = &p
		ok = ok && good
	}
	for _, h := range q.Headers {
		n, good := c.header(h)
		ok = ok && good
		out.Headers = append(out.Headers, n)
	}
	if q.Upgrade != nil {
		out.Upgrade, good = c.upgrade(*q.Upgrade)
		ok = ok && good
	}
	return out, ok
}

// method checks [A-Z][A-Z-]*.
func (c *checker) method(t lang.Token) bool {
	switch m := t.Value; {
	case strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" || m[0] == '-':
		c.errorAt(diag.BadMethod, lang.SpanOf(t), fmt.Sprintf("`%s` is no request method", m), "methods are upper case: write "+strings.ToUpper(m))
		return false
	}
	return true
}

// serverNames resolves one item behind sni.
func (c *checker) serverNames(n lang.Node, annotations []*lang.Annotation) []program.Domain {
	if t := n.Tokens[0]; lang.IsString(t) {
		p, ok := c.pattern(t, annotations)
		if !ok {
			return nil
		}
		if s := c.lookUp(c.at.pkg, sets, lang.Text(t)); s != nil && s.kind == "domains" {
			c.quoted(t, s.kind)
		}
		return []program.Domain{{Patterns: []program.NamePattern{p}}}
	}
	sym := c.use(sets, refNode(n), "domains")
	if sym == nil {
		return nil
	}
	return sym.domains
}

// l7Protocol checks that an L7 part stands over TCP, or of questions over UDP or TCP, and warns of
// http where TLS is to be expected.
func (c *checker) l7Protocol(l7 *program.L7, l4 []program.L4, span diag.Span, dir program.Direction) {
	if l7.Kind == program.L7DNS {
		c.questionsProtocol(l4, span)
		return
	}
	for _, l := range l4 {
		if l.Any || l.Proto != program.ProtoTCP {
			c.errorAt(diag.L7Protocol, span, fmt.Sprintf("the %s part is over TCP only", partName(l7)), "write on tcp/any, or a tcp port")
			return
		}
		if l7.Kind == program.L7HTTP && dir == program.Egress && l.Contains(program.ProtoTCP, 443) {
			c.warnAt(diag.L7Encrypted, span, "what goes to port 443 is encrypted, and no request in it can be read", "write tls { sni \"...\" }")
			return
		}
	}
}

// partName is the word with which an L7 part begins.
func partName(l *program.L7) string {
	if len(l.GRPC) > 0 {
		return "grpc"
	}
	return l.Kind.String()
}
