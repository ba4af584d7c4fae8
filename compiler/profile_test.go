// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"regexp"
	"slices"
	"strings"

	"mpol/compiler/bruteforce"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// ask evaluates a profile on a request, as the comments of package program tell the proxy to.
func ask(p *program.Profile, f verdict.Flow) bool {
	r := asked{kind: p.Kind, flow: f}
	switch {
	case p.Kind == program.L7HTTP && f.HTTP != nil:
		raw, connect := f.HTTP.Path, strings.EqualFold(f.HTTP.Method, "CONNECT")
		if connect && raw == "" {
			raw = "/"
		}
		path, ok := verdict.JudgePath(raw)
		if !ok || !verdict.IsMessage(f.HTTP) {
			return false
		}
		if connect && !asksFor(p, func(h program.HTTPRequest) bool { return slices.Contains(h.Methods, "CONNECT") }) ||
			f.HTTP.Upgrade != "" && !asksFor(p, func(h program.HTTPRequest) bool { return h.Upgrade == f.HTTP.Upgrade }) {
			return false
		}
		r.path, r.host = path, regexp.MustCompile(`\.?(:[0-9]+)?$`).ReplaceAllString(f.HTTP.Host, "")
	case p.Kind == program.L7TLS && f.TLS != nil:
		if f.TLS.Present {
			r.host = strings.TrimSuffix(f.TLS.ServerName, ".")
		}
	default:
		return false
	}
	return r.half(p.Egress) && r.half(p.Ingress)
}

// asksFor reports whether a rule of either half, allow or deny, has a request for which is holds.
func asksFor(p *program.Profile, is func(program.HTTPRequest) bool) bool {
	for _, h := range []*program.Half{p.Egress, p.Ingress} {
		if h == nil {
			continue
		}
		for _, t := range h.Tiers {
			for _, r := range slices.Concat(t.Deny, t.Allow) {
				if slices.ContainsFunc(r.HTTP, is) {
					return true
				}
			}
		}
	}
	return false
}

// asked is a request in the form in which rules compare it.
type asked struct {
	kind       program.L7Kind
	flow       verdict.Flow
	path, host string
}

func (r asked) half(h *program.Half) bool {
	if h == nil {
		return true
	}
	for _, t := range h.Tiers {
		switch {
		case slices.ContainsFunc(t.Deny, func(rr program.RequestRule) bool { return r.rule(rr, true) }):
			return false
		case slices.ContainsFunc(t.Allow, func(rr program.RequestRule) bool { return r.rule(rr, false) }):
			return true
		case t.Default != program.Pass:
			return t.Default == program.Allow
		}
	}
	return false
}

func (r asked) rule(rr program.RequestRule, deny bool) bool {
	if rr.Names != nil && !r.named(deny, rr.Names.Matches) {
		return false
	}
	if rr.Every {
		return true
	}
	if r.kind == program.L7TLS {
		return slices.ContainsFunc(rr.SNI, func(p program.NamePattern) bool { return r.named(deny, p.Matches) }) ||
			slices.ContainsFunc(rr.SNISets, func(d program.Domain) bool { return r.named(deny, d.Matches) })
	}
	return slices.ContainsFunc(rr.HTTP, func(h program.HTTPRequest) bool {
		return bruteforce.Asks(h, r.flow, r.path, deny) && (h.Host == nil || r.named(deny, h.Host.Matches))
	}) || slices.ContainsFunc(rr.GRPC, func(g program.GRPCMethod) bool { return bruteforce.Calls(g, r.flow, r.path, deny) })
}

// named: a host that is none matches every deny and no allow.
func (r asked) named(deny bool, matches func(program.Name) bool) bool {
	if regexp.MustCompile(`^\[[0-9A-Fa-f:.]+\]$`).MatchString(r.host) {
		return false
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`).MatchString(r.host) {
		return deny
	}
	return matches(program.ParseName(r.host))
}
