// SPDX-License-Identifier: Apache-2.0

package compiler_test

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

// bruteName is the Host or server name; a literal address is no name and is readable.
func bruteName(f verdict.Flow) (program.Name, bool) {
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

// bruteContent compares a request, but for what a domain peer asks of its host.
func bruteContent(r *check.Rule, f verdict.Flow, q request) bool {
	deny := r.Action == program.Deny
	name, readable := bruteName(f)
	host := func(ps ...program.NamePattern) bool {
		return !readable && deny || readable && slices.ContainsFunc(ps, func(p program.NamePattern) bool { return like(p, name) })
	}
	if q.kind == program.L7TLS {
		return host(r.L7.SNI...) || slices.ContainsFunc(r.L7.SNISets, func(d program.Domain) bool {
			return host(d.Patterns...) && !(readable && slices.ContainsFunc(d.Except, func(p program.NamePattern) bool { return like(p, name) }))
		})
	}
	for _, x := range r.L7.HTTP {
		if bruteRequest(x, f, q.path, deny) && (x.Host == nil || host(*x.Host)) {
			return true
		}
	}
	return slices.ContainsFunc(r.L7.GRPC, func(g program.GRPCMethod) bool { return bruteGRPC(g, f, q.path, deny) })
}

func folded(s string, deny bool) string {
	if deny {
		return strings.ToLower(s)
	}
	return s
}

// bruteRequest compares a request but for its host.
func bruteRequest(x program.HTTPRequest, f verdict.Flow, path string, deny bool) bool {
	method := len(x.Methods) == 0 && strings.ToUpper(f.HTTP.Method) != "CONNECT"
	for _, m := range x.Methods {
		method = method || folded(m, deny) == folded(f.HTTP.Method, deny)
	}
	headers := true
	for _, h := range x.Headers {
		headers = headers && bruteHeader(h, values(f, h.Name), deny)
	}
	upgrade := deny && x.Upgrade == "" || x.Upgrade == f.HTTP.Upgrade
	return method && upgrade && headers && regexp.MustCompile(pathExpression(x.Path, deny)).MatchString(path)
}

// bruteGRPC reports whether a request calls a method.
func bruteGRPC(g program.GRPCMethod, f verdict.Flow, path string, deny bool) bool {
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

// bruteHeader: every line or, in a deny, some line satisfies the condition.
func bruteHeader(h program.Header, lines []string, deny bool) bool {
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

// judge returns the verdict as "action rule".
func (b brute) judge(f verdict.Flow) string {
	from, to := b.who(f.From), b.who(f.To)
	if from.name != "" && from.name == to.name || from.kind == "host" && to.kind == "host" || !from.local && !to.local {
		return "allow "
	}
	both := func(q request, through string) (string, program.L7Kind, bool) {
		e, i := b.half(program.Egress, from, to, f, q), b.half(program.Ingress, to, from, f, q)
		kind, names := max(e.kind, i.kind), e.names || i.names
		torn := e.kind != 0 && i.kind != 0 && e.kind != i.kind
		switch {
		case e.exists && (!e.allow || e.conflict):
			return "deny " + e.rule, kind, names
		case i.exists && (!i.allow || i.conflict):
			return "deny " + i.rule, kind, names
		case torn:
			return "deny " + e.rule, kind, names
		case e.kind != 0:
			return through + " " + e.rule, kind, names
		case i.kind != 0:
			return through + " " + i.rule, kind, names
		case e.exists && (!i.exists || e.row):
			return "allow " + e.rule, kind, names
		}
		return "allow " + i.rule, kind, names
	}
	got, kind, names := both(request{}, "redirect")
	if !strings.HasPrefix(got, "redirect") || f.HTTP == nil && f.TLS == nil && f.Question == nil {
		return got
	}
	q := request{kind: kind}
	switch {
	case kind == program.L7HTTP && f.HTTP != nil:
		raw, connect := f.HTTP.Path, strings.ToUpper(f.HTTP.Method) == "CONNECT"
		if connect && raw == "" {
			raw = "/"
		}
		path, ok := verdict.JudgePath(raw)
		if !ok || !verdict.IsMessage(f.HTTP) || (connect || f.HTTP.Upgrade != "") && !names {
			return "deny "
		}
		q.path = path
	case kind == program.L7TLS && f.TLS != nil, kind == program.L7DNS && f.Question != nil:
	default:
		return "deny "
	}
	got, _, _ = both(q, "allow")
	return got
}
