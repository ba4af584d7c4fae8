// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// content is what a flow may hold. Summary and help are those of the error where the verdict on it is
// not that on the first: what the line does not say.
type content struct {
	http          *verdict.HTTP
	tls           *verdict.TLS
	question      *verdict.Question
	summary, help string
}

// of returns f with the content.
func (c content) of(f verdict.Flow) verdict.Flow {
	f.HTTP, f.TLS, f.Question = c.http, c.tls, c.question
	return f
}

// contents returns the requests that a line may mean, none when it states none. A line states no
// version of HTTP, and perhaps no type of a question.
func (w *world) contents(l *check.Assertion, to check.End) []content {
	switch {
	case l.HTTP != nil:
		return w.scope(l.From, to).asks().stated(l.HTTP)
	case l.GRPC != nil:
		var out []content
		for _, m := range w.scope(l.From, to).asks().calls(*l.GRPC) {
			out = append(out, content{
				http: verdict.GRPC(l.GRPC.Service, m), summary: "the verdict depends on the method", help: "state it in place of `*`",
			})
		}
		return out
	case l.DNS != nil:
		return w.scope(l.From, to).asks().questions(l)
	case l.SNI != "":
		return []content{{tls: &verdict.TLS{ServerName: l.SNI, Present: true}}}
	}
	return nil
}

// stated returns the requests that one as stated may mean.
func (rs *requests) stated(r *check.Request) []content {
	methods := []string{r.Method}
	if r.Any {
		methods = rs.methods
	}
	headers := make([]verdict.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = verdict.Header{Name: h.Name, Value: h.Value}
	}
	var out []content
	add := func(two bool, summary, help string) {
		for _, m := range methods {
			request := &verdict.HTTP{Method: m, Path: r.Path, Host: r.Host, Upgrade: r.Upgrade, Two: two, Headers: headers}
			out = append(out, content{http: request, summary: summary, help: help})
		}
	}
	add(false, "the verdict depends on the method", "state it in place of `any`")
	if rs.versions {
		add(true, "the verdict depends on the version of HTTP", "write `grpc \"SERVICE/METHOD\"` for a call over HTTP/2")
	}
	return out
}

// questions returns the questions that a line may mean: without a type those for addresses or, to be
// denied, of every type that rules may tell apart.
func (rs *requests) questions(l *check.Assertion) []content {
	types := []uint16{l.DNS.Type}
	if l.DNS.Type == 0 {
		types = []uint16{typeA, typeAAAA, typeHTTPS, typeSVCB}
		if l.Want == program.Deny {
			types = append(types, rs.types...)
		}
	}
	var out []content
	for _, t := range types {
		out = append(out, content{
			question: &verdict.Question{Name: l.DNS.Name, Type: t},
			summary:  "the verdict depends on the type of the question", help: `state it: dns "` + l.DNS.Name.String() + `" A`,
		})
	}
	return out
}

// calls returns the methods that m stands for.
func (rs *requests) calls(m program.GRPCMethod) []string {
	if m.Method != "" {
		return []string{m.Method}
	}
	return append([]string{"MethodThatNoRuleNames"}, rs.grpc...)
}

// requests are those that the rules of a module may tell apart.
type requests struct {
	methods []string // without CONNECT
	grpc    []string // methods of services
	// versions: some rule tells a request over HTTP/2 from another.
	versions bool
	types    []uint16
	http     []content
	tls      []content
	dns      []content
}

// every returns requests of a kind for each thing that the rules tell apart.
func (rs *requests) every(kind program.L7Kind) []content {
	return map[program.L7Kind][]content{program.L7HTTP: rs.http, program.L7TLS: rs.tls, program.L7DNS: rs.dns}[kind]
}

const unnamedHost = "name-that-no-rule-names.invalid"

func newRequests(rules []*program.Rule) *requests {
	rs := &requests{
		methods: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"},
		types:   []uint16{typeA, typeAAAA, typeTXT},
	}
	names := []program.NamePattern{unnamedHost}
	for _, r := range rules {
		for _, p := range r.Peers.Include {
			if p.Kind == program.PeerDomain {
				names = append(names, slices.Concat(p.Domain.Patterns, p.Domain.Except, p.Domain.Aliases)...)
				for _, less := range p.Domain.Less {
					names = append(names, slices.Concat(less.Patterns, less.Except)...)
				}
			}
		}
		for _, p := range r.Resolvers {
			names = append(names, p.For...)
		}
		if r.L7 == nil {
			continue
		}
		names = slices.Concat(names, r.L7.SNI, r.L7.DNS)
		for _, d := range r.L7.SNISets {
			names = slices.Concat(names, d.Patterns, d.Except)
			for _, less := range d.Less {
				names = slices.Concat(names, less.Patterns, less.Except)
			}
		}
		rs.types = append(rs.types, r.L7.Types...)
		for _, h := range r.L7.HTTP {
			rs.methods = append(rs.methods, h.Methods...)
			if h.Host != nil {
				names = append(names, *h.Host)
			}
		}
		for _, g := range r.L7.GRPC {
			rs.versions = true
			if g.Method != "" {
				rs.grpc = append(rs.grpc, g.Method)
			}
		}
	}
	rs.methods = append(rs.methods, unnamedOf(rs.methods, "SOURCE", "BIND", "REBIND", "UNBIND", "MERGE"))
	slices.Sort(rs.methods)
	rs.methods = slices.DeleteFunc(slices.Compact(rs.methods), func(m string) bool {
		return m == "CONNECT" || !verdict.IsMessage(&verdict.HTTP{Method: m})
	})
	rs.types = append(rs.types, unnamedOf[uint16](rs.types, 65280, 65281, 65282, 65283))
	slices.Sort(rs.types)
	rs.types = slices.Compact(rs.types)
	slices.Sort(names)
	rs.named(slices.Compact(names))
	rs.requested(rules)
	return rs
}

// unnamedOf returns the first of some things that is not among the named ones, or the last.
func unnamedOf[T comparable](named []T, some ...T) T {
	for _, x := range some[:len(some)-1] {
		if !slices.Contains(named, x) {
			return x
		}
	}
	return some[len(some)-1]
}

// named makes the questions and hellos.
func (rs *requests) named(patterns []program.NamePattern) {
	tls := content{summary: "the verdict depends on the request: the flow must speak tls", help: "state it: `sni \"NAME\"`"}
	dns := content{summary: "the verdict depends on the question", help: "state it: `dns \"NAME\" A`, or write the name as the destination"}
	tls.tls = &verdict.TLS{}
	rs.tls = append(rs.tls, tls)
	for _, p := range patterns {
		tls.tls = &verdict.TLS{ServerName: nameOf(p), Present: true}
		rs.tls = append(rs.tls, tls)
		for _, t := range rs.types {
			dns.question = &verdict.Question{Name: program.ParseName(nameOf(p)), Type: t}
			rs.dns = append(rs.dns, dns)
		}
	}
}

// nameOf returns a name that matches a pattern.
func nameOf(p program.NamePattern) string {
	return strings.ReplaceAll(strings.ReplaceAll(string(p), "**", "x.x"), "*", "x")
}

// requested makes the requests: those that no rule names, and for every line some that it matches,
// those that miss it by a header, and those for a path beside its own.
func (rs *requests) requested(rules []*program.Rule) {
	add := func(h verdict.HTTP) {
		rs.http = append(rs.http, content{
			http: &h, summary: "the verdict depends on the request: the flow must speak http", help: "state it, for instance `GET \"/\"`",
		})
	}
	for _, path := range unnamedPaths(rules) {
		for _, m := range rs.methods {
			add(verdict.HTTP{Method: m, Path: path})
		}
	}
	for _, r := range rules {
		if r.L7 == nil {
			continue
		}
		for _, g := range r.L7.GRPC {
			for _, m := range rs.calls(g) {
				add(*verdict.GRPC(g.Service, m))
			}
		}
		for _, line := range r.L7.HTTP {
			for _, h := range matching(line) {
				add(h)
				add(verdict.HTTP{Method: h.Method, Path: "/" + unnamedSegment, Upgrade: h.Upgrade})
			}
			for _, path := range besides(line.Path) {
				for _, m := range append([]string{"GET"}, line.Methods...) {
					add(verdict.HTTP{Method: m, Path: path})
				}
			}
		}
	}
}

// matching returns requests that a line matches, and those with other lines of its headers.
func matching(line program.HTTPRequest) []verdict.HTTP {
	h := verdict.HTTP{Method: "GET", Path: pathOf(line.Path), Upgrade: line.Upgrade}
	if line.Host != nil {
		h.Host = nameOf(*line.Host)
	}
	for _, c := range line.Headers {
		if c.Op != program.HeaderAbsent && c.Op != program.HeaderNotEqual {
			h.Headers = append(h.Headers, verdict.Header{Name: c.Name, Value: valueOf(c)})
		}
	}
	out := []verdict.HTTP{h}
	for _, m := range line.Methods {
		h.Method = m
		out = append(out, h)
	}
	for _, c := range line.Headers {
		rest := slices.DeleteFunc(slices.Clone(h.Headers), func(x verdict.Header) bool { return x.Name == c.Name })
		for _, values := range [][]string{nil, {valueOf(c)}, {"not-" + valueOf(c)}} {
			other := h
			other.Headers = slices.Clone(rest)
			for _, v := range values {
				other.Headers = append(other.Headers, verdict.Header{Name: c.Name, Value: v})
			}
			out = append(out, other)
		}
	}
	return out
}

func valueOf(c program.Header) string {
	if c.Op == program.HeaderMatches {
		return example(c.Value)
	}
	return c.Value
}
