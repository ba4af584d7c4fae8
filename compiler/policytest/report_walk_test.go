// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler"
	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// What Walk says of each rule is what the whole program does when that rule decides.
func TestNear(t *testing.T) {
	rules := compiler.Resolve(module(t, "p.mpol", policy), program.Inventory{Workloads: []program.Workload{
		{Name: "a", Labels: []program.Label{{Key: "app", Value: "api"}}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Interface: "a"},
		{Name: "w", Labels: []program.Label{{Key: "app", Value: "web"}}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Interface: "w"},
	}})
	judge := verdict.New(&rules)
	end := func(name string) verdict.End { return verdict.End{Workload: name} }
	for _, tt := range []struct {
		name string
		flow verdict.Flow
		want []string
	}{
		{"port", verdict.Flow{From: end("w"), To: end("a"), Proto: 6, Port: 82}, []string{
			"p.api.web would allow this on tcp/80-81", "p.api.v4 would allow this on tcp/2222",
			`p.api.site would allow this on tcp/8080 with http { GET "/site/**" }`,
		}},
		{"peer", verdict.Flow{From: verdict.End{Addr: netip.MustParseAddr("198.51.100.1")}, To: end("a"), Proto: 6, Port: 22}, []string{
			"p.api.v4 would allow this on tcp/2222", "p.api.door would allow this from 203.0.113.0/24",
		}},
		{"request", verdict.Flow{From: end("w"), To: end("a"), Proto: 6, Port: 8080, HTTP: &verdict.HTTP{Method: "GET", Path: "/x"}}, []string{
			`p.api.site would allow this with http { GET "/site/**" }`, `p.api.v4 would allow this on tcp/2222`,
			`p.api.web would allow this on tcp/80-81`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, policytest.Near(judge, tt.flow, program.Ingress)); diff != "" {
				t.Errorf("Near (-want +got):\n%s", diff)
			}
			for _, step := range policytest.Walk(judge, tt.flow, program.Ingress) {
				for _, p := range step.Policies {
					if p.Name == "p.web" {
						t.Errorf("%s takes part in the ingress of a", p.Name)
					}
				}
			}
		})
	}
}
