// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"slices"
	"testing"

	"mpol/compiler/policytest"
)

// TestCoverSpread: nobody in the tests is one that the policy q selects, but for the comparison of app; each
// rule, but for the last, makes a difference to somebody else as soon as that is taken as true.
func TestCoverSpread(t *testing.T) {
	const head = `package p
default deny
tier early order 50 default deny
workload a = app in ["a", "b"]
workload b = app = "b"
policy a for a {
  ingress { in: allow from any on any }
  egress  { out: allow to any on any name: allow to "x.example.com" on tcp/443 }
}
policy low for a in baseline { ingress { deep: allow from b on tcp/81 http { GET "/x" } } }
policy machine for host { egress { out: allow to any on any stop: deny to any on tcp/85 } }
test "t" {
  given a = { app = "a", env = "prod" } at 10.0.0.1
  given b = { app = "b", env = "prod", zone = "1" } at 10.0.0.2
  given dns "x.example.com" = 198.51.100.4
`
	for _, tt := range []struct{ name, policy, line string }{
		{"selector", `{ ingress { r: deny from b on any } }`, `allow b -> a on tcp/80 at ingress`},
		{"same", `{ ingress { r: deny from same env on any } }`, `allow b -> a on tcp/80 at ingress`},
		{"workloads", `{ ingress { r: deny from workloads on any } }`, `allow b -> a on tcp/80 at ingress`},
		{"any", `{ ingress { r: deny from any on any } }`, `allow b -> a on tcp/80 at ingress`},
		{"prefix", `{ ingress { r: deny from 10.0.0.0/8 on any } }`, `allow b -> a on tcp/80 at ingress`},
		{"host", `{ ingress { r: deny from host on any } }`, `allow host -> a on tcp/80 at ingress`},
		{"world", `{ ingress { r: deny from world on any } }`, `allow 198.51.100.9 -> a on tcp/80 at ingress`},
		{"internet", `{ egress { r: deny to internet on any } }`, `allow a -> 198.51.100.9 on tcp/80 at egress`},
		{"name", `{ egress { r: deny to "x.example.com" on any } }`, `allow a -> "x.example.com" on tcp/443`},
		{"outside party", `{ egress { r: deny to world on any } }`, "given o = 198.51.100.9\n  allow a -> o on tcp/80 at egress"},
		{"pass", `{ ingress { r: pass from (app = "nobody") on tcp/9 } }`, `allow b -> a on tcp/81 at ingress`},
		{"other tier", `in early { ingress none }`, `allow b -> a on tcp/80 at ingress`},
		{"other direction", `in early { egress none }`, `allow a -> b on tcp/80 at egress`},
		{"still wrong", `{ ingress { r: deny from b on any } }`, `allow b -> a on tcp/80 by a.name at ingress`},
		{"nothing", `{ ingress { r: deny from b on tcp/9 } }`, `deny host -> a on tcp/85`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cover(t, head+"  "+tt.line+"\n}\n"+`policy q for (app = "q" and env = "prod") `+tt.policy+"\n")
			app := slices.IndexFunc(c.Atoms, func(a policytest.Covered) bool { return a.Name == `"app" = "q" in (app = "q" and env = "prod")` })
			if app < 0 {
				t.Fatalf("no such comparison among %v", c.Atoms)
			}
			if want := tt.name != "nothing"; c.Atoms[app].Covered != want {
				t.Errorf("it is covered: %v, want %v", !want, want)
			}
		})
	}
}
