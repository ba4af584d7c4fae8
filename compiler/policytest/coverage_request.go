// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// request is a request that a rule may speak of, and how a line states it; the zero value is none.
type request struct {
	text string
	fill func(*check.Assertion)
}

// content returns the request as a flow holds it.
func (q request) content() content {
	var a check.Assertion
	if q.fill != nil {
		q.fill(&a)
	}
	switch {
	case a.HTTP != nil:
		return (&requests{}).stated(a.HTTP)[0]
	case a.GRPC != nil:
		return content{http: verdict.GRPC(a.GRPC.Service, a.GRPC.Method)}
	case a.SNI != "":
		return content{tls: &verdict.TLS{ServerName: a.SNI, Present: true}}
	case a.DNS != nil:
		return content{question: &verdict.Question{Name: a.DNS.Name, Type: a.DNS.Type}}
	}
	return content{}
}

// requestsOn returns those with which a line on some ports may speak of a rule with a peer: for a rule
// without an L7 part, too, where those of others tell requests apart.
func (c *coverer) requestsOn(l4 program.L4, r *program.Rule, other party) []request {
	out := witnessRequests(r, other)
	if r.L7 != nil || l4.Proto != program.ProtoTCP {
		return out
	}
	if c.kinds[program.L7HTTP] {
		path := program.PathPattern{Segments: []program.Segment{{Literal: unnamedSegment}}}
		out = append(out, httpRequest(program.HTTPRequest{Path: path}, other))
	}
	if c.kinds[program.L7TLS] {
		name := unnamedHost
		if other.name != nil {
			name = other.name.String()
		}
		out = append(out, sniRequest(name))
	}
	return out
}

func sniRequest(name string) request {
	return request{fmt.Sprintf("sni %q", name), func(a *check.Assertion) { a.SNI = name }}
}

// witnessRequests returns those that match a rule's L7 part with a peer; one that is none for a rule without.
func witnessRequests(r *program.Rule, other party) []request {
	l := r.L7
	if l == nil {
		return []request{{}}
	}
	var out []request
	for _, h := range l.HTTP {
		out = append(out, httpRequest(h, other))
	}
	for _, g := range l.GRPC {
		if g.Method == "" {
			g.Method = "Any"
		}
		out = append(out, request{
			fmt.Sprintf("grpc %q", g.Service+"/"+g.Method),
			func(a *check.Assertion) { a.GRPC = &g },
		})
	}
	names := l.SNI
	for _, d := range l.SNISets {
		names = slices.Concat(names, d.Patterns)
	}
	if l.Pinned && other.name != nil {
		names = []program.NamePattern{program.NamePattern(other.name.String())}
	}
	for _, p := range names {
		out = append(out, sniRequest(witnessName(p).String()))
	}
	for _, p := range l.DNS {
		q := check.Question{Name: witnessName(p), Type: typeA}
		out = append(out, request{fmt.Sprintf("dns %q A", q.Name), func(a *check.Assertion) { a.DNS = &q }})
	}
	return out
}

func httpRequest(h program.HTTPRequest, other party) request {
	q := check.Request{Method: "GET", Upgrade: h.Upgrade}
	if len(h.Methods) > 0 {
		q.Method = h.Methods[0]
	}
	switch {
	case h.Host != nil:
		q.Host = witnessName(*h.Host).String()
	case other.name != nil:
		q.Host = other.name.String()
	}
	for _, c := range h.Headers {
		switch c.Op {
		case program.HeaderPresent:
			q.Headers = append(q.Headers, check.RequestHeader{Name: c.Name, Value: "x"})
		case program.HeaderEqual, program.HeaderMatches:
			q.Headers = append(q.Headers, check.RequestHeader{Name: c.Name, Value: valueOf(c)})
		}
	}
	q.Path = pathOf(h.Path)
	return request{requestText(&q), func(a *check.Assertion) { a.HTTP = &q }}
}

func requestText(q *check.Request) string {
	text := fmt.Sprintf("%s %q", q.Method, q.Path)
	if q.Host != "" {
		text += fmt.Sprintf(" host %q", q.Host)
	}
	for _, h := range q.Headers {
		text += fmt.Sprintf(" header %q = %q", h.Name, h.Value)
	}
	if q.Upgrade != "" {
		text += fmt.Sprintf(" upgrade %q", q.Upgrade)
	}
	return text
}
