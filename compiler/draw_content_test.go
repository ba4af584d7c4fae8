// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"pgregory.net/rapid"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

func drawHTTP(t *rapid.T) []program.HTTPRequest {
	host := program.NamePattern("*.example.com")
	literal := func(ss ...string) []program.Segment {
		var out []program.Segment
		for _, s := range ss {
			out = append(out, program.Segment{Literal: s, Any: s == ""})
		}
		return out
	}
	requests := []program.HTTPRequest{
		{Methods: []string{"GET"}, Path: program.PathPattern{Segments: literal("public"), Subtree: true}},
		{Methods: []string{"GET", "POST"}, Path: program.PathPattern{Segments: literal("public", "")}},
		{Path: program.PathPattern{Segments: literal("admin"), Subtree: true}},
		{Path: program.PathPattern{Segments: literal("admin"), TrailingSlash: true}},
		{Path: program.PathPattern{}},
		{Path: program.PathPattern{Subtree: true}},
		{Methods: []string{"POST"}, Path: program.PathPattern{Subtree: true}, Host: &host},
		{Path: program.PathPattern{Regexp: "/(public|admin)/[a-z]+"}},
	}
	hs := rapid.SliceOfN(rapid.SampledFrom(requests), 1, 2).Draw(t, "http")
	for i := range hs {
		narrow(t, &hs[i])
	}
	return hs
}

// narrow may add to a request what nobody has by chance.
func narrow(t *rapid.T, h *program.HTTPRequest) {
	switch rapid.IntRange(0, 9).Draw(t, "narrow") {
	case 0:
		h.Methods = []string{"CONNECT"}
	case 1:
		h.Upgrade = "websocket"
	case 2, 3:
		h.Headers = []program.Header{rapid.SampledFrom([]program.Header{
			{Name: "x", Op: program.HeaderPresent},
			{Name: "x", Op: program.HeaderAbsent},
			{Name: "x", Op: program.HeaderEqual, Value: "1"},
			{Name: "x", Op: program.HeaderNotEqual, Value: "1"},
			{Name: "x", Op: program.HeaderMatches, Value: "[12]"},
		}).Draw(t, "header")}
	}
}

// drawRequests draws an http or, now and then, a grpc part.
func drawRequests(t *rapid.T) *program.L7 {
	if rapid.IntRange(0, 4).Draw(t, "grpc") > 0 {
		return &program.L7{Kind: program.L7HTTP, HTTP: drawHTTP(t)}
	}
	return &program.L7{Kind: program.L7HTTP, GRPC: []program.GRPCMethod{rapid.SampledFrom([]program.GRPCMethod{
		{Service: "p.S", Method: "Get"}, {Service: "p.S"},
	}).Draw(t, "method")}}
}

// contents are what is tried on a flow, beside the flow itself.
func contents(f verdict.Flow) []verdict.Flow {
	out := []verdict.Flow{f}
	h := func(pairs ...string) (hs []verdict.Header) {
		for i := 0; i < len(pairs); i += 2 {
			hs = append(hs, verdict.Header{Name: pairs[i], Value: pairs[i+1]})
		}
		return hs
	}
	for _, r := range []verdict.HTTP{
		{Method: "GET", Path: "/public/x", Host: "a.example.com"},
		{Method: "GET", Path: "/public/x", Host: "x.example.net:80", Headers: h("X", "1")},
		{Method: "GET", Path: "/public", Host: "a.example.com", Headers: h("x", "1", "X", "2")},
		{Method: "get", Path: "/Admin/", Host: "a@b", Headers: h("x", "3")},
		{Method: "POST", Path: "/admin", Host: "b.example.com", Headers: h("x", "2", "x", "3")},
		{Method: "GET", Path: "/public/x", Host: "a.example.com", Upgrade: "websocket"},
		{Method: "GET", Path: "/public/x", Host: "a.example.com", Upgrade: "foo"},
		{Method: "CONNECT", Host: "a.example.com:443"},
		{Method: "POST", Path: "/p.S/Get", Host: "a.example.com", Two: true, Headers: h("Content-Type", "application/grpc+proto")},
		{Method: "POST", Path: "/p.s/get", Host: "a.example.com", Two: true, Headers: h("content-type", "Application/gRPC")},
		{Method: "POST", Path: "/p.S/Other", Host: "a.example.com", Two: true, Headers: h("content-type", "application/grpc", "content-type", "text/plain")},
		{Method: "POST", Path: "/p.S/Get", Host: "a.example.com", Headers: h("content-type", "application/grpc")},
	} {
		r := r
		g := f
		g.HTTP = &r
		out = append(out, g)
	}
	for _, name := range []string{"a.example.com", "b.example.com", "X.example.net", ""} {
		g := f
		g.TLS = &verdict.TLS{ServerName: name, Present: name != ""}
		out = append(out, g)
		for _, typ := range []uint16{1, 16, 255} {
			q := f
			q.Question = &verdict.Question{Name: program.ParseName(name), Type: typ}
			if name != "" {
				out = append(out, q)
			}
		}
	}
	return out
}
