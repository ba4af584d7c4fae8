// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// header resolves a condition on a header.
func (c *checker) header(h *lang.Header) (program.Header, bool) {
	name, ok := c.headerName(h.Name)
	out := program.Header{Name: name}
	switch {
	case h.With == nil && h.Op.Value == "absent":
		out.Op = program.HeaderAbsent
	case h.With == nil:
		out.Op = program.HeaderPresent
	case h.With.Value == "=":
		out.Op = program.HeaderEqual
	case h.With.Value == "!=":
		out.Op = program.HeaderNotEqual
	default:
		out.Op = program.HeaderMatches
	}
	if h.Value == nil {
		return out, ok
	}
	out.Value = lang.Text(*h.Value)
	if fault := headerValueFault(out.Value, out.Op); fault != "" {
		c.errorAt(diag.BadHeader, lang.SpanOf(*h.Value), fmt.Sprintf("%s is no value for a header: %s", h.Value.Value, fault), headerValueHelp(out.Value, out.Op))
		return out, false
	}
	return out, ok
}

// headerName reads the name of a header, which is no pseudo-header and none that mpol judges by
// itself.
func (c *checker) headerName(t lang.Token) (string, bool) {
	name := strings.ToLower(lang.Text(t))
	bad := func(summary, help string) (string, bool) {
		c.errorAt(diag.BadHeader, lang.SpanOf(t), summary, help)
		return name, false
	}
	switch {
	case name == "host" || name == ":authority":
		return bad("the host of a request is no header condition", `write host "name.example" behind the path`)
	case strings.HasPrefix(name, ":"):
		return bad(fmt.Sprintf("%s is no header but a part of the request line", t.Value), "write the method and the path before the header")
	case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^`|~") != "":
		return bad(fmt.Sprintf("%s is no name of a header that a request may have", t.Value), "names are letters, digits and -, as in x-session")
	}
	return name, true
}

// headerValueFault says why no line of a header can have a value, or why an expression is none.
func headerValueFault(value string, op program.HeaderOp) string {
	if op == program.HeaderMatches {
		if _, err := syntax.Parse(value, syntax.Perl); err != nil {
			return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		}
		return ""
	}
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "it has a control character"
	case strings.Trim(value, " \t") != value:
		return "blanks around a value are not part of it"
	}
	return ""
}

// headerValueHelp shows a value as a line of a header can have it.
func headerValueHelp(value string, op program.HeaderOp) string {
	if op == program.HeaderMatches {
		return fmt.Sprintf("to compare the text itself, write = %q", value)
	}
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, value)
	if plain = strings.TrimSpace(plain); plain == "" {
		return "the value of a header is text on one line"
	}
	return fmt.Sprintf("write %q", plain)
}

// upgrade reads the protocol that a request asks to change to.
func (c *checker) upgrade(t lang.Token) (string, bool) {
	name := strings.ToLower(lang.Text(t))
	if name != "websocket" {
		c.errorAt(diag.BadUpgrade, lang.SpanOf(t), fmt.Sprintf("%s is no protocol that a request can be upgraded to", t.Value), `write upgrade "websocket"`)
		return name, false
	}
	return name, true
}

// grpcPart resolves the methods of a grpc part.
func (c *checker) grpcPart(n *lang.GRPC) *program.L7 {
	out := &program.L7{Kind: program.L7HTTP}
	if len(n.Methods) == 0 {
		c.errorAt(diag.Empty, n.Span(), "the grpc part is empty", `write grpc { "package.Service/*" }`)
	}
	for _, t := range lang.Items(n.Methods) {
		if m, ok := c.grpcMethod(t); ok {
			out.GRPC = append(out.GRPC, m)
		}
	}
	out.GRPC = distinct(out.GRPC)
	return out
}

// grpcMethod reads "package.Service/Method" or "package.Service/*".
func (c *checker) grpcMethod(t lang.Token) (program.GRPCMethod, bool) {
	bad := func(fault, help string) (program.GRPCMethod, bool) {
		c.errorAt(diag.BadGRPC, lang.SpanOf(t), fmt.Sprintf("%s is no grpc method: %s", t.Value, fault), help)
		return program.GRPCMethod{}, false
	}
	text := lang.Text(t)
	service, method, slash := strings.Cut(text, "/")
	switch {
	case strings.HasPrefix(text, "/"):
		return bad("it begins with a slash", fmt.Sprintf("write %q", text[1:]))
	case !slash:
		return bad("it has no method", fmt.Sprintf("write %q for every method", text+"/*"))
	case slices.ContainsFunc(strings.Split(service, "."), notIdentifier):
		return bad(fmt.Sprintf("%q is no service", service), `write "package.Service/Method"`)
	case method == "*":
		method = ""
	case notIdentifier(method):
		return bad(fmt.Sprintf("%q is no method", method), `write one method, or * for every one`)
	}
	return program.GRPCMethod{Service: service, Method: method}, true
}

// notIdentifier reports whether s is no identifier of protocol buffers.
func notIdentifier(s string) bool {
	return s == "" || '0' <= s[0] && s[0] <= '9' || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789_") != ""
}

// dnsTypes are the types of records that can be named, by the numbers of the IANA registry.
func dnsTypes() map[string]uint16 {
	return map[string]uint16{
		"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18,
		"AAAA": 28, "LOC": 29, "SRV": 33, "NAPTR": 35, "CERT": 37, "DNAME": 39, "DS": 43, "SSHFP": 44, "IPSECKEY": 45,
		"RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53,
		"CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65, "SPF": 99,
		"ANY": 255, "URI": 256, "CAA": 257,
	}
}

func (c *checker) dnsType(t lang.Token) (uint16, bool) {
	types := dnsTypes()
	if n, ok := types[t.Value]; ok {
		return n, true
	}
	if digits, ok := strings.CutPrefix(t.Value, "TYPE"); ok {
		if n, ok := number(digits, 65535); ok && n > 0 {
			return uint16(n), true
		}
	}
	help := diag.DidYouMean(strings.ToUpper(t.Value), slices.Collect(maps.Keys(types)))
	if help == "" {
		help = "write a type such as A, AAAA, HTTPS or TXT, or TYPE and its number"
	}
	c.errorAt(diag.BadDNSType, lang.SpanOf(t), fmt.Sprintf("`%s` is no type of DNS records", t.Value), help)
	return 0, false
}
