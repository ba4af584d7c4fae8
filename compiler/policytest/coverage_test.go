// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/policytest"
)

const coverable = `package p
default deny
workload web = app = "web" and env = "prod"
workload api = app = "api" and not has role
policy api for api {
  ingress {
    site:   allow from web on tcp/8080 http { GET "/site/**", POST "/form" }
    secret: deny  from any on tcp/8080 http { any "/site/secret" }
    door:   allow from 203.0.113.0/24 except 203.0.113.7 on tcp/22
    ping:   allow from world on icmp/8
            allow from workloads on udp/53-60
  }
  egress none
}
policy web for web {
  ingress none
  egress {
    api:  allow to api on any
    name: allow to "*.example.com" on tcp/443 tls { sni "a.example.com" }
  }
}
`

func cover(t *testing.T, text string) *policytest.Coverage {
	t.Helper()
	m := module(t, "c.mpol", text)
	return policytest.Cover(m, policytest.Run(m, policytest.Options{}))
}

// names returns those of a list that are covered.
func names(list []policytest.Covered) []string {
	out := []string{}
	for _, c := range list {
		if c.Covered {
			out = append(out, c.Name)
		}
	}
	return out
}

// What one line covers, and what it does not.
func TestCover(t *testing.T) {
	for _, tt := range []struct {
		name, line             string
		rules, requests, atoms []string
	}{
		{
			"request", `allow w -> a on tcp/8080 GET "/site/x"`,
			[]string{"p.api.site", "p.web.api"},
			[]string{`p.api.site: http { GET "/site/**" }`},
			[]string{`"app" = "api" in api`, `has "role" in api`, `"app" = "web" in web`, `"env" = "prod" in web`},
		},
		{
			"one half", `allow w -> a on tcp/8080 POST "/form" at ingress`,
			[]string{"p.api.site"},
			[]string{`p.api.site: http { POST "/form" }`},
			[]string{`"app" = "api" in api`, `has "role" in api`, `"app" = "web" in web`, `"env" = "prod" in web`},
		},
		{"deny", `deny w -> a on tcp/8080 GET "/site/secret"`, []string{"p.api.secret"}, []string{`p.api.secret: http { any "/site/secret" }`}, []string{}},
		{"default", `deny w -> a on tcp/22`, []string{}, []string{}, []string{}},
		{"a line that fails", `deny w -> a on tcp/8080 GET "/site/x" by app.default`, []string{}, []string{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cover(t, coverable+"test \"t\" {\n given w = { app = \"web\", env = \"prod\" } at 10.0.0.1\n given a = { app = \"api\" } at 10.0.0.2\n "+tt.line+"\n}\n")
			if diff := cmp.Diff(tt.rules, names(c.Rules)); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.requests, names(c.Requests)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.atoms, names(c.Atoms)); tt.atoms != nil && diff != "" {
				t.Errorf("atoms (-want +got):\n%s", diff)
			}
		})
	}
}

// The witnesses, pasted into tests as they are printed, cover every rule.
func TestWitnesses(t *testing.T) {
	c := cover(t, coverable)
	if n := len(names(c.Rules)); n != 0 || len(c.Rules) != 7 {
		t.Fatalf("%d of %d rules are covered without a test", n, len(c.Rules))
	}
	text := coverable
	for i, r := range c.Rules {
		if r.Witness == nil {
			t.Errorf("%s has no witness", r.Name)
			continue
		}
		text += fmt.Sprintf("test \"%d\" {\n%s\n}\n", i, r.Witness)
	}
	m := module(t, "c.mpol", text)
	for _, r := range policytest.Run(m, policytest.Options{}) {
		if r.Status != policytest.Pass {
			t.Errorf("%s: %s in\n%s", r.Span, r.Summary, text)
		}
	}
	if c := cover(t, text); c.Percent() != 100 {
		t.Errorf("%s with\n%s", c.Summary(), text)
	}
}

// The page holds each source whole, with what is odd in it escaped.
func TestCoverageHTML(t *testing.T) {
	text := coverable + "# <script>\n"
	c := cover(t, text)
	var b bytes.Buffer
	if err := c.WriteHTML(&b, []string{"c.mpol"}, func(string) []byte { return []byte(text) }); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if strings.Contains(page, "<script") || strings.Count(page, `class="n"`) != strings.Count(text, "\n")+1 {
		t.Errorf("the page is not the source:\n%s", page)
	}
	if n := strings.Count(page, `<span class="no" title="`); n != 7 {
		t.Errorf("%d rules are marked, want 7", n)
	}
}
