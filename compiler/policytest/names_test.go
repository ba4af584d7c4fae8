// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"strings"
	"testing"

	"mpol/compiler/policytest"
)

const resolved = `package p
default deny
workload web = app = "web"
workload api = app = "api"
workload res = app = "res"
resolver inside = res on udp/53 for "**.corp.example"
policy web for web {
  ingress none
  egress {
    resolve via inside
    any: allow to api on any
    ask: allow to res on udp/53 dns { "x.corp.example" }
    x:   allow to "x.corp.example" private 10.0.0.0/8 on tcp/80 http { DELETE "/a", GET "/a" }
  }
}
policy res for res { ingress { web: allow from web on udp/53 dns { "x.corp.example" } } egress none }
policy api for api { ingress { all: allow from web on any } egress none }
`

// Each line, which speaks of a name, ends with what must become of it.
func TestNames(t *testing.T) {
	for _, line := range []string{
		`allow w -> "x.corp.example" on tcp/80 GET "/a" host "x.corp.example" by web.ask # pass`,
		`allow w -> "x.corp.example" on tcp/80 any "/a" host "x.corp.example" by web.ask # error: the verdict depends on the method`,
		// a would answer, but it is no resolver.
		`deny w -> "y.corp.example" on tcp/80 by app.default # pass`,
	} {
		line, want, _ := strings.Cut(line, " # ")
		t.Run(line, func(t *testing.T) {
			test := `test "t" {
  given w = { app = "web" }
  given a = { app = "api" } at 10.0.0.1
  given r = { app = "res" } at 10.0.0.2
  given dns "x.corp.example" = 10.0.0.3
  ` + line + "\n}\n"
			r := policytest.Run(module(t, "t.mpol", resolved+test), policytest.Options{})[0]
			got := r.Status.String()
			if r.Summary != "" {
				got += ": " + r.Summary
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
