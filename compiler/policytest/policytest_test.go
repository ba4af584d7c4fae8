// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"mpol/compiler/policytest"
	"mpol/lang"
	"mpol/lang/check"
)

func module(t *testing.T, name, text string) *check.Module {
	t.Helper()
	file, diags := lang.Parse(name, []byte(text))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	for _, d := range append(diags, more...) {
		if d.Severity == 0 {
			t.Errorf("%s: %s: %s", d.Span, d.Code, d.Summary)
		}
	}
	if m == nil {
		t.Fatal("the policy has errors")
	}
	return m
}

// The example of the project passes its own tests.
func TestShop(t *testing.T) {
	text, err := os.ReadFile("../../policies/examples/shop/shop.mpol")
	if err != nil {
		t.Fatal(err)
	}
	results := policytest.Run(module(t, "shop.mpol", string(text)), policytest.Options{})
	for _, r := range results {
		if r.Status != policytest.Pass {
			t.Errorf("%s: %s: %s (%s)", r.Span, r.Status, r.Summary, r.Help)
		}
	}
	some := policytest.Run(module(t, "shop.mpol", string(text)), policytest.Options{Name: "names"})
	if len(results) < 10 || len(some) == 0 || len(some) >= len(results) {
		t.Errorf("%d lines were judged, of one test %d; want at least 10, and some of them", len(results), len(some))
	}
}

const policy = `package p
default deny
workload web = app = "web"
workload api = app = "api"
workload res = app = "res"
cidrs office = 203.0.113.0/24
policy api for api {
  ingress {
    web:    allow from web on tcp/80-81
    site:   allow from web on tcp/8080 http { GET "/site/**" }
    secret: deny  from web on tcp/8080 http { any "/site/secret" }
    door:   allow from office on tcp/22
    v4:     allow from 0.0.0.0/0 on tcp/2222
    ping:   allow from any on icmp/8
  }
}
policy web for web {
  egress {
    api:  allow to api on any
    no:   deny to api on tcp/81
    name: allow to "a.example.com", "*.b.example.com" on tcp/443 tls { sni "a.example.com" }
    bare: allow to "c.example.com" on tcp/444
    not:  deny to "x.b.example.com" on any
    dns:  allow to 198.51.100.53 on udp/53, tcp/53
    mix:  allow to "m.example.com" on tcp/445
  }
}
policy all for workloads {
  ingress { stop: deny from any on tcp/6666 }
}
`

// Each line ends with what must become of it.
func TestLines(t *testing.T) {
	lines := []string{
		`allow w -> a on tcp/80 # pass`,
		`allow w -> a on tcp/80 by web.api # pass`,
		`allow w -> a on tcp/80 by api.web # pass`,
		`allow w -> a on tcp/80 by api.web at egress # fail: expected allow at egress by p.api.web, got allow at egress by p.web.api`,
		`deny w -> a on tcp/80 # fail: expected deny, got allow at egress by p.web.api (t.mpol:19:5)`,
		`deny w -> a on tcp/81 by web.no # pass`,
		`allow w -> a on tcp/81 at ingress # pass`,
		`allow w -> a on tcp/80-81 # fail: expected allow, got deny at egress by p.web.no`,
		`deny o -> a on tcp/80 by app.default # pass`,
		`deny o -> a on tcp/80 by app.default at ingress # pass`,
		`deny o -> a on tcp/80 at egress # fail: expected deny at egress, got no egress half`,
		`allow w -> a on tcp/8080 # error: the verdict depends on the request: the flow must speak http`,
		`allow w -> a on tcp/8080 at egress # pass`,
		`allow w -> a on tcp/8080 GET "/site/x" by api.site # pass`,
		`deny w -> a on tcp/8080 GET "/Site/other" by api.secret # fail: expected deny by p.api.secret, got deny at ingress by app.default`,
		`deny w -> a on tcp/8080 GET "/Site/SECRET/" by api.secret # pass`,
		`deny w -> a on tcp/8080 GET "/site/%2f" by refused # pass`,
		`deny w -> a on tcp/8080 POST "/site/x" by app.default # pass`,
		`deny w -> a on tcp/6666 by all.stop # pass`,
		`allow o -> a on tcp/22 # pass`,
		`deny w -> a on tcp/22 # error: the verdict depends on the address of w`,
		`allow w -> a on tcp/2222 # error: the verdict depends on the address of w or a`,
		`allow w -> placed on tcp/2222 by api.v4 # pass`,
		`allow host -> a on icmp/8 by api.ping # pass`,
		`deny host -> a on tcp/80 # pass`,
		`allow w -> "a.example.com" on tcp/443 sni "a.example.com" by web.name # pass`,
		`deny w -> "a.example.com" on tcp/443 sni "o.example.com" by app.default # pass`,
		`deny w -> "a.example.com" on tcp/80 # pass`,
		`allow w -> "a.example.com" on tcp/443 # error: the verdict depends on the request: the flow must speak tls`,
		`allow w -> "c.example.com" on tcp/444 by web.bare # pass`,
		`deny w -> "x.b.example.com" on tcp/443 by web.not # pass`,
		`allow w -> "m.example.com" on tcp/445 # fail: expected allow, got deny at egress by app.default`,
		`deny w -> "m.example.com" on tcp/445 # fail: expected deny, got allow at egress by p.web.mix`,
		`deny w -> "d.example.com" on tcp/443 by app.default # pass`,
		`deny w -> "lost.b.example.com" on tcp/443 # error: no answer is given for lost.b.example.com`,
		`deny w -> "lost.example.com" on tcp/443 by app.default # pass`,
		`allow w -> "lost.example.com" on tcp/443 # fail: expected allow, got deny at egress by app.default`,
		`allow w -> 198.51.100.6 on tcp/444 # pass`,
		`deny w -> 198.51.100.77 on tcp/444 # pass`,
		`allow w -> 198.51.100.53 on udp/53 # error: the verdict depends on the question`,
		`deny w -> node on udp/53 # error: the verdict depends on the question`,
		`allow a -> o on tcp/1 by default # fail: expected allow by default, got deny at egress by default`,
		`deny a -> o on tcp/1 by default # pass`,
		`allow o -> a on icmp # fail: expected allow, got deny at ingress by app.default`,
		`deny o -> a on tcp/3000-65535 # pass`,
		`deny o -> a on tcp/20-65535 # fail: expected deny, got allow at ingress by p.api.door`,
		`allow o -> a on icmp/8 # pass`,
		`deny w -> o on any # pass`,
		`deny o -> a on any # fail: expected deny, got allow at ingress by p.api.ping`,
	}
	for _, line := range lines {
		line, want, _ := strings.Cut(line, " # ")
		t.Run(line, func(t *testing.T) {
			test := `test "t" {
  given w = { app = "web" }
  given a = { app = "api" }
  given placed = { app = "api" } at 10.0.0.9
  given o = 203.0.113.9
  given dns "a.example.com" = 198.51.100.4
  given dns "x.b.example.com" = 198.51.100.4
  given dns "c.example.com" = 198.51.100.6, 2001:db8:9::6
  given dns "d.example.com" = 198.51.100.7
  given dns "m.example.com" = 198.51.100.8, 10.0.0.8
  ` + line + "\n}\n"
			results := policytest.Run(module(t, "t.mpol", policy+test), policytest.Options{})
			if len(results) != 1 {
				t.Fatalf("%d results, want 1", len(results))
			}
			got := results[0].Status.String()
			if results[0].Summary != "" {
				got += ": " + results[0].Summary
			}
			if !strings.HasPrefix(got, want) || want == "pass" && got != want {
				t.Errorf("got  %s\nwant %s\nverdict %+v", got, want, results[0].Got)
			}
			if results[0].Span.Start.Line != strings.Count(policy, "\n")+11 {
				t.Errorf("the result stands at %s", results[0].Span)
			}
		})
	}
}

func ExampleRun() {
	const text = "package p\ndefault deny\nworkload w = app = \"w\"\npolicy w for w { ingress { a: allow from any on tcp/80 } }\n" +
		"test \"t\" {\n  given w = { app = \"w\" }\n  given o = 198.51.100.1\n  allow o -> w on tcp/81\n}\n"
	file, _ := lang.Parse("p.mpol", []byte(text))
	m, _ := check.Check([]*lang.File{file}, check.Options{})
	for _, r := range policytest.Run(m, policytest.Options{}) {
		fmt.Println(r.Span, r.Status, r.Summary)
	}
	// Output: p.mpol:8:3 fail expected allow, got deny at ingress by app.default (p.mpol:4:18)
}
