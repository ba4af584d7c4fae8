// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler"
	"mpol/compiler/bruteforce"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/diag"
)

func answers() [][]verdict.Answer {
	name := program.ParseName
	at := func(text string) verdict.End { return verdict.End{Addr: netip.MustParseAddr(text)} }
	return [][]verdict.Answer{
		nil,
		{{Name: name("a.example.com")}},
		{{Name: name("x.example.net"), Server: at("9.9.9.9")}},
		{{Name: name("other.test"), Via: []program.Name{name("c.example.net"), name("a.example.com")}, Server: at("198.51.100.4")}},
		{{Name: name("b.example.com"), Server: at("192.0.2.1")}, {Name: name("y.x.example.com"), Via: []program.Name{name("c.example.net")}, Server: at("10.0.0.2")}},
	}
}

// The reference evaluator says what the module says, with audit marks and without.
func TestDecideAgreesWithModule(t *testing.T) {
	seen := tally{}
	wanted := []string{"audit", "allow http rule", "deny http refused", "allow tls rule", "allow dns rule", "redirect dns rule"}
	seen.cover(t, wanted, func(t *rapid.T) {
		m := drawModule(t)
		rules := compiler.Resolve(m, universe())
		e := verdict.New(&rules)
		b, bare := bruteforce.Evaluator{Module: m, Inventory: universe()}, bruteforce.Evaluator{Module: m, Inventory: universe(), Bare: true}
		from := rapid.SampledFrom(ends()).Draw(t, "from")
		for _, to := range ends() {
			if from.Addr.Is4() != to.Addr.Is4() || from == to {
				continue
			}
			for i := range 6 {
				ps := points()
				if i > 0 { // where requests and questions go
					ps = []point{{program.ProtoTCP, 80}, {program.ProtoTCP, 443}, {program.ProtoTCP, 8080}, {program.ProtoTCP, 53}, {program.ProtoUDP, 53}}
				}
				pt := rapid.SampledFrom(ps).Draw(t, "point")
				as := rapid.SampledFrom(answers()).Draw(t, "answers")
				f := verdict.Flow{From: from, To: to, Proto: pt.proto, Port: pt.port, Answers: as}
				for _, f := range contents(f) {
					v := e.Decide(f)
					if v.Reason == verdict.Conflict && len(as) > 1 {
						continue // no one profile is right: more than the module says
					}
					if got, want := said(&rules, v), b.Judge(f); got != want {
						t.Fatalf("%+v %+v %+v %+v:\nDecide %+v, module %+v\n%+v", f, f.HTTP, f.TLS, f.Question, got, want, v)
					}
					audited := v
					if v.Audit != nil {
						audited = *v.Audit
						seen["audit"]++
					}
					if want := bare.Judge(f); audited.Reason != verdict.Conflict && audited.Action != want.Action {
						t.Fatalf("%+v: without audit marks %q, module %q", f, audited.Action, want.Action)
					}
					seen[v.Action.String()+" "+v.L7.String()+" "+v.Reason.String()]++
				}
			}
		}
	})
	t.Log(seen)
}

// said is a verdict in the words of the other evaluator.
func said(rules *program.Rules, v verdict.Verdict) bruteforce.Verdict {
	out := bruteforce.Verdict{Action: v.Action, Reason: v.Reason}
	if v.Rule != 0 {
		s := rules.Source(v.Rule)
		at := diag.Pos{Line: s.Line, Column: s.Column, Offset: s.Line}
		out.Half, out.Rule, out.Tier, out.At = v.Half, s.Name, s.Tier, diag.Span{File: s.File, Start: at}
	}
	return out
}
