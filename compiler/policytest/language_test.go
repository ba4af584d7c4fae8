// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"strings"
	"testing"

	"mpol/compiler/policytest"
)

const language = `package p
default deny
workload web = app = "web"
workload api = app = "api"
workload res = app = "dns"
tier late order 250 default deny
resolver inside = res on udp/53 for "**.corp.example"
resolver own    = 198.51.100.53 on udp/53, tcp/53
policy guard for workloads in admin {
  ingress { stop: deny from any on tcp/6666 }
  egress  { halt: deny to any on tcp/6666 }
}
policy api for api {
  ingress {
    head:  allow from web on tcp/80 http { GET "/a/**" header "x-role" = "user", GET "/chat" upgrade "websocket" }
    not:   deny from web on tcp/80 http { any "/a/b" header "x-debug" present }
    call:  allow from web on tcp/90 grpc { "p.v1.S/Get", "p.v1.T/*" }
    every: allow from web on tcp/91 http { any "/**" }
    zone:  allow from same zone on tcp/70
    next:  pass from any on tcp/100-101
    mark:  audit deny from web on tcp/70
  }
  egress none
}
policy later for api in late {
  ingress { door: allow from web on tcp/100 }
}
policy machine for host {
  egress  { out: allow to api on tcp/71 }
  ingress { in:  allow from web on tcp/22 }
}
policy api-host for api { ingress { host: allow from host on tcp/71 } }
policy web for web {
  ingress none
  egress {
    api:  allow to api, host on tcp/1-200
    ask:  allow to 203.0.113.53 on udp/53, tcp/53 dns { "*.asked.example" types A, TXT }
    pin:  allow to "a.example.net", "b.example.net" on tcp/443 tls pinned
  }
}
policy corp for web {
  egress {
    resolve via inside, own
    corp: allow to "x.corp.example" private 10.0.0.0/8 on tcp/9443
    asks: allow to res on udp/53
  }
}
policy cdn for web {
  egress {
    resolve via own
    via: allow to "shop.example.net" via cname "*.cdn.example.net" on tcp/8443
    own: allow to 198.51.100.53 on udp/53, tcp/53 dns { "*.asked.example" }
  }
}
policy res for res {
  ingress { web: allow from web on udp/53 dns { "**.corp.example" } }
  egress none
}
`

// Each line ends with what must become of it.
func TestLanguage(t *testing.T) {
	lines := []string{
		`allow w -> a on tcp/80 GET "/a/x" header "x-role" = "user" by api.head # pass`,
		`deny w -> a on tcp/80 GET "/a/x" by app.default # pass`,
		`deny w -> a on tcp/80 GET "/a/x" header "x-role" = "user" header "x-role" = "admin" # pass`,
		`deny w -> a on tcp/80 GET "/A/B" header "x-role" = "user" header "x-debug" = "1" by api.not # pass`,
		`allow w -> a on tcp/80 GET "/chat" upgrade "websocket" by api.head # pass`,
		`deny w -> a on tcp/80 GET "/chat" # pass`,
		`deny w -> a on tcp/91 GET "/chat" upgrade "websocket" by refused # pass`,
		`allow w -> a on tcp/90 grpc "p.v1.S/Get" by api.call # pass`,
		`deny w -> a on tcp/90 grpc "p.v1.S/Put" # pass`,
		`allow w -> a on tcp/90 grpc "p.v1.T/Any" # pass`,
		`deny w -> a on tcp/90 POST "/p.v1.S/Get" # pass`,
		`allow w -> a on tcp/90 POST "/p.v1.S/Get" header "content-type" = "application/grpc" # error: the verdict depends on the version of HTTP`,
		`allow w -> a on tcp/91 # pass`,
		`allow w -> a on tcp/91 any "/x" # pass`,
		`allow w -> a on tcp/80 any "/a/x" header "x-role" = "user" # error: the verdict depends on the method`,
		`deny w -> a on tcp/80 # error: the verdict depends on the request: the flow must speak http`,
		`allow w -> a on tcp/70 by api.zone # pass`,
		`deny v -> a on tcp/70 by app.default # pass`,
		`allow w -> a on tcp/100 by later.door # pass`,
		`deny w -> a on tcp/101 by late.default # pass`,
		`deny w -> a on tcp/6666 by guard.halt # pass`,
		`allow host -> a on tcp/71 by machine.out # pass`,
		`deny host -> a on tcp/72 # pass`,
		`allow w -> host on tcp/22 by machine.in # pass`,
		`deny w -> host on tcp/23 at ingress # pass`,
		`allow w -> asked on udp/53 dns "x.asked.example" TXT by web.ask # pass`,
		`deny w -> asked on udp/53 dns "x.asked.example" AAAA # pass`,
		`allow w -> asked on udp/53 dns "x.asked.example" # error: the verdict depends on the type of the question`,
		`deny w -> asked on udp/53 dns "y.example" # pass`,
		`allow w -> node on udp/53 dns "a.example.net" by web.pin # pass`,
		`deny w -> node on udp/53 dns "x.corp.example" # pass`,
		`allow w -> d on udp/53 dns "x.corp.example" by res.web # pass`,
		`deny w -> d on udp/53 dns "y.example" by app.default # pass`,
		`allow w -> "a.example.net" on tcp/443 sni "a.example.net" by web.pin # pass`,
		`deny w -> "a.example.net" on tcp/443 sni "b.example.net" by app.default # pass`,
		`allow w -> "b.example.net" on tcp/443 # error: the verdict depends on the request: the flow must speak tls`,
		`allow w -> 198.51.100.8 on tcp/8443 by cdn.via # pass`,
		`deny w -> 198.51.100.9 on tcp/8443 # pass`,
		`allow w -> "x.corp.example" on tcp/9443 by corp.corp # pass`,
		`deny w -> 10.1.1.2 on tcp/9443 # pass`,
	}
	for _, line := range lines {
		line, want, _ := strings.Cut(line, " # ")
		t.Run(line, func(t *testing.T) {
			test := `test "t" {
  given w = { app = "web", zone = "1" }
  given v = { app = "web", zone = "2" }
  given a = { app = "api", zone = "1" }
  given d = { app = "dns" } at 10.0.0.53
  given asked = 203.0.113.53
  given dns "a.example.net" = 198.51.100.4
  given dns "b.example.net" = 198.51.100.5
  given dns "shop.example.net" = 198.51.100.7
  given dns "other.asked.example" via "e1.cdn.example.net" = 198.51.100.8
  given dns "unasked.example" via "e1.cdn.example.net" = 198.51.100.9
  given dns "x.corp.example" = 10.1.1.1
  ` + line + "\n}\n"
			results := policytest.Run(module(t, "t.mpol", language+test), policytest.Options{})
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
		})
	}
}
