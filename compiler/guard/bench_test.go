// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"testing"

	"mpol/compiler/program"
	"mpol/lang/check"
)

// BenchmarkRun runs the built-in guardrails over policies that they have nothing against.
func BenchmarkRun(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := large(n)
			for b.Loop() {
				list, err := Run(b.Context(), m, Options{})
				if err != nil || len(list) > 0 {
					b.Fatalf("Run = %v, %v", list, err)
				}
			}
		})
	}
}

// large returns a module of n policies with four rules each.
func large(n int) *check.Module {
	m := &check.Module{Files: []string{"shop.mpol"}}
	for i := range n {
		rule := func(line int, peer program.Peer, l4 program.L4) *check.Rule {
			return &check.Rule{
				Label: "r", Action: program.Allow,
				Peers: program.Peers{Include: []program.Peer{peer}}, L4: []program.L4{l4},
				Span: lines(line, line), PlaceSpan: span(line), PeersSpan: span(line), L4Span: span(line),
			}
		}
		label := &program.Selector{Op: program.OpIn, Key: "app", Values: []string{fmt.Sprint("a", i)}}
		domain := &program.Domain{Patterns: []program.NamePattern{"api.example.com"}}
		tcp := program.L4{Proto: program.ProtoTCP, First: 8080, Last: 8080}
		at := 10 * i
		m.Policies = append(m.Policies, &check.Policy{
			Name:        fmt.Sprintf("shop.p%d", i),
			Annotations: []check.Annotation{{Key: "owner", Values: []string{"team"}, Span: span(at)}},
			Subject:     program.Subject{Selector: label},
			Ingress: &check.Block{Span: span(at + 1), Rules: []*check.Rule{
				rule(at+2, program.Peer{Kind: program.PeerSelector, Selector: label}, tcp),
				rule(at+3, program.Peer{Kind: program.PeerWorkloads}, tcp),
			}},
			Egress: &check.Block{Span: span(at + 4), Rules: []*check.Rule{
				rule(at+5, program.Peer{Kind: program.PeerSelector, Selector: label}, tcp),
				rule(at+6, program.Peer{Kind: program.PeerDomain, Domain: domain}, tcp),
			}},
			Span: lines(at, at+9), NameSpan: span(at),
		})
	}
	return m
}
