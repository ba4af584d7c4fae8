// SPDX-License-Identifier: Apache-2.0

package bruteforce

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// asksOf reports whether a dns part speaks of a question.
func asksOf(r *check.Rule, n program.Name, t uint16) bool {
	types := r.L7.Types
	if len(types) == 0 && r.Action == program.Allow {
		types = []uint16{1, 28, 64, 65}
	}
	return slices.ContainsFunc(r.L7.DNS, func(p program.NamePattern) bool { return like(p, n) }) &&
		(len(types) == 0 || slices.Contains(types, t))
}

// nameOf is the Host or server name; a literal address is no name and is readable.
func nameOf(f verdict.Flow) (program.Name, bool) {
	text := ""
	switch {
	case f.TLS != nil && f.TLS.Present:
		text = f.TLS.ServerName
	case f.HTTP != nil:
		text = regexp.MustCompile(`:[0-9]+$`).ReplaceAllString(f.HTTP.Host, "")
	}
	text = strings.ToLower(strings.TrimSuffix(text, "."))
	if strings.HasPrefix(text, "[") {
		_, err := netip.ParseAddr(strings.Trim(text, "[]"))
		return nil, err == nil
	}
	return strings.Split(text, "."), regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`).MatchString(text)
}

// contains compares a request, but for what a domain peer asks of its host.
func contains(r *check.Rule, f verdict.Flow, q request) bool {
	deny := r.Action == program.Deny
	name, readable := nameOf(f)
	host := func(ps ...program.NamePattern) bool {
		return !readable && deny || readable && slices.ContainsFunc(ps, func(p program.NamePattern) bool { return like(p, name) })
	}
	if q.kind == program.L7TLS {
		return host(r.L7.SNI...) || slices.ContainsFunc(r.L7.SNISets, func(d program.Domain) bool {
			return host(d.Patterns...) && !(readable && slices.ContainsFunc(d.Except, func(p program.NamePattern) bool { return like(p, name) }))
		})
	}
	for _, x := range r.L7.HTTP {
		if Asks(x, f, q.path, deny) && (x.Host == nil || host(*x.Host)) {
			return true
		}
	}
	return slices.ContainsFunc(r.L7.GRPC, func(g program.GRPCMethod) bool { return Calls(g, f, q.path, deny) })
}

func folded(s string, deny bool) string {
	if deny {
		return strings.ToLower(s)
	}
	return s
}

// Asks reports whether a request with this judged path is one of x, but for its host.
func Asks(x program.HTTPRequest, f verdict.Flow, path string, deny bool) bool {
	method := len(x.Methods) == 0 && strings.ToUpper(f.HTTP.Method) != "CONNECT"
	for _, m := range x.Methods {
		method = method || folded(m, deny) == folded(f.HTTP.Method, deny)
	}
	headers := true
	for _, h := range x.Headers {
		headers = headers && satisfied(h, values(f, h.Name), deny)
	}
	upgrade := deny && x.Upgrade == "" || x.Upgrade == f.HTTP.Upgrade
	return method && upgrade && headers && regexp.MustCompile(pathExpression(x.Path, deny)).MatchString(path)
}

// Calls reports whether a request with this judged path calls g.
func Calls(g program.GRPCMethod, f verdict.Flow, path string, deny bool) bool {
	method := "[^/]+"
	if g.Method != "" {
		method = regexp.QuoteMeta(g.Method)
	}
	want := "^/" + regexp.QuoteMeta(g.Service) + "/" + method + "$"
	if deny {
		want = "(?i)^/" + regexp.QuoteMeta(g.Service) + "/" + method + "/?$"
	}
	types := values(f, "content-type")
	is := func(t string) bool {
		return regexp.MustCompile(`^application/grpc([+;].*)?$`).MatchString(folded(t, deny))
	}
	isNot := func(t string) bool { return !is(t) }
	return f.HTTP.Two && folded("POST", deny) == folded(f.HTTP.Method, deny) && regexp.MustCompile(want).MatchString(path) &&
		slices.ContainsFunc(types, is) && (deny || !slices.ContainsFunc(types, isNot) && f.HTTP.Upgrade == "")
}

func values(f verdict.Flow, name string) (vs []string) {
	for _, h := range f.HTTP.Headers {
		if strings.ToLower(h.Name) == name {
			vs = append(vs, h.Value)
		}
	}
	return vs
}

// satisfied: every line or, in a deny, some line satisfies the condition.
func satisfied(h program.Header, lines []string, deny bool) bool {
	some, every := false, true
	for _, v := range lines {
		ok := map[program.HeaderOp]bool{
			program.HeaderPresent: true, program.HeaderEqual: v == h.Value, program.HeaderNotEqual: v != h.Value,
		}[h.Op]
		if h.Op == program.HeaderMatches {
			ok = regexp.MustCompile("^(?:" + h.Value + ")$").MatchString(v)
		}
		some, every = some || ok, every && ok
	}
	switch {
	case len(lines) == 0:
		return h.Op == program.HeaderAbsent || h.Op == program.HeaderNotEqual
	case h.Op == program.HeaderAbsent:
		return false
	case deny:
		return some
	}
	return every
}

// pathExpression is a path pattern as one expression.
func pathExpression(p program.PathPattern, deny bool) string {
	e := ""
	for _, s := range p.Segments {
		if s.Any {
			e += "/[^/]+"
		} else {
			e += "/" + regexp.QuoteMeta(s.Literal)
		}
	}
	switch {
	case p.Regexp != "":
		e = p.Regexp
		if deny {
			e = "(?:" + e + ")/?"
		}
	case p.Subtree:
		e += "(/.*)?"
	case e == "":
		e = "/"
	case deny:
		e += "/?"
	case p.TrailingSlash:
		e += "/"
	}
	if deny {
		return "(?i)^(?:" + e + ")$"
	}
	return "^(?:" + e + ")$"
}
