// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"net/netip"
	"testing"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang"
	"mpol/lang/check"
)

const decidePolicy = `package p
default allow
workload web = app = "web"
workload api = app = "api"
policy web for web {
  egress {
    api:   allow to api on tcp/80, tcp/8080
    not:   deny to 10.0.0.3 on any
    lo:    allow to host on tcp/9
    one:   allow to "a.example.com" on tcp/80 http { GET "/**" }
    two:   allow to "b.example.com" on tcp/80 http { POST "/**" }
    plain: allow to "a.example.com" on tcp/81
    sni:   allow to 198.51.100.0/24 on tcp/443 tls { sni "*.example.com" }
    nope:  deny to "no.b.example.com" on any
    any:   allow to 198.51.100.53 on udp/53, tcp/53
  }
}
policy api for api {
  ingress {
    get:   allow from web on tcp/8080 http { GET "/pub/**", POST "/form" host "*.api.example" }
    boss:  allow from workloads on tcp/80
    local: deny from any on tcp/8080 http { any "/pub/secret" }
  }
}
`

func decideRules(t *testing.T) program.Rules {
	t.Helper()
	file, diags := lang.Parse("p.mpol", []byte(decidePolicy))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	if m == nil {
		t.Fatalf("the policy has errors: %v", append(diags, more...))
	}
	labels := func(app string) []program.Label { return []program.Label{{Key: "app", Value: app}} }
	return compiler.Resolve(m, program.Inventory{
		Workloads: []program.Workload{
			{Name: "api", Labels: labels("api"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Interface: "a"},
			{Name: "api3", Labels: labels("api"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.3")}, Interface: "b"},
			{Name: "far", Labels: labels("web"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1")}},
			{Name: "svc", Labels: labels("web"), Cgroup: "svc"},
			{Name: "web", Labels: labels("web"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Interface: "w"},
		},
		Node:      []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	})
}

func at(text string) verdict.End { return verdict.End{Addr: netip.MustParseAddr(text)} }

func names(texts ...string) []program.Name {
	var ns []program.Name
	for _, t := range texts {
		ns = append(ns, program.ParseName(t))
	}
	return ns
}

// Each row gives the verdict as "action l7 half rule reason".
func TestDecide(t *testing.T) {
	const tcp, udp = program.ProtoTCP, program.ProtoUDP
	web, api, out := at("10.0.0.1"), at("10.0.0.2"), at("198.51.100.4")
	get := func(path string) *verdict.HTTP {
		return &verdict.HTTP{Method: "GET", Path: path, Host: "x.api.example:8080"}
	}
	ask := func(name string, typ uint16) *verdict.Question {
		return &verdict.Question{Name: program.ParseName(name), Type: typ}
	}
	resolver, other := at("192.0.2.53"), at("198.51.100.53")
	tests := []struct {
		name string
		flow verdict.Flow
		want string
	}{
		{"both halves", verdict.Flow{From: web, To: api, Proto: tcp, Port: 80}, "allow none egress p.web.api rule"},
		{"mapped address", verdict.Flow{From: web, To: at("::ffff:10.0.0.2"), Proto: tcp, Port: 80}, "allow none egress p.web.api rule"},
		{"deny beats allow", verdict.Flow{From: web, To: at("10.0.0.3"), Proto: tcp, Port: 80}, "deny none egress p.web.not rule"},
		{"default", verdict.Flow{From: web, To: api, Proto: tcp, Port: 81}, "deny none egress app.default default"},
		{"ungoverned client", verdict.Flow{From: at("10.0.0.3"), To: api, Proto: tcp, Port: 80}, "allow none ingress p.api.boss rule"},
		{"ungoverned client out", verdict.Flow{From: api, To: out, Proto: tcp, Port: 80}, "allow none egress default ungoverned"},
		{"ungoverned server", verdict.Flow{From: web, To: verdict.End{Workload: "svc", Addr: netip.MustParseAddr("192.0.2.1")}, Proto: tcp, Port: 9}, "deny none egress app.default default"},
		{"host", verdict.Flow{From: web, To: at("127.0.0.1"), Proto: tcp, Port: 9}, "allow none egress p.web.lo rule"},
		{"remote client", verdict.Flow{From: at("10.0.1.1"), To: api, Proto: tcp, Port: 80}, "allow none ingress p.api.boss rule"},
		{"host workload", verdict.Flow{From: verdict.End{Workload: "svc", Addr: netip.MustParseAddr("127.0.0.1")}, To: api, Proto: tcp, Port: 80}, "allow none egress p.web.api rule"},
		{"host workload elsewhere", verdict.Flow{From: verdict.End{Workload: "svc", Addr: netip.MustParseAddr("10.0.0.9")}, To: api, Proto: tcp, Port: 80}, "deny none egress  unknown end"},
		{"unknown workload", verdict.Flow{From: verdict.End{Workload: "nobody"}, To: api, Proto: tcp, Port: 80}, "deny none egress  unknown end"},
		{"no address", verdict.Flow{From: web, Proto: tcp, Port: 80}, "deny none egress  unknown end"},
		{"foreign source", verdict.Flow{From: verdict.End{Workload: "web", Addr: out.Addr}, To: api, Proto: tcp, Port: 80}, "deny none egress  unknown end"},
		{"two families", verdict.Flow{From: web, To: at("2001:db8::5"), Proto: tcp, Port: 80}, "deny none egress  unknown end"},
		{"self", verdict.Flow{From: web, To: web, Proto: tcp, Port: 81}, "allow none egress  self"},
		{"foreign", verdict.Flow{From: out, To: resolver, Proto: tcp, Port: 81}, "allow none egress  not ours"},

		{"redirect", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080}, "redirect http ingress p.api.get rule"},
		{"redirect only by a deny", verdict.Flow{From: at("10.0.0.3"), To: api, Proto: tcp, Port: 8080}, "deny none ingress app.default default"},
		{"request", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: get("/pub/x")}, "allow http ingress p.api.get rule"},
		{"request denied", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: get("/pub/Secret/")}, "deny none ingress p.api.local rule"},
		{"request by default", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: get("/other")}, "deny none ingress app.default default"},
		{"request refused", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: get("/pub/%2f")}, "deny http ingress  refused"},
		{"upgrade", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: &verdict.HTTP{Method: "GET", Path: "/pub/x", Upgrade: "websocket"}}, "deny http ingress  refused"},
		{"connect", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: &verdict.HTTP{Method: "connect", Path: "/pub/x"}}, "deny http ingress  refused"},
		{"host of the rule", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: &verdict.HTTP{Method: "POST", Path: "/form", Host: "A.API.example.:80"}}, "allow http ingress p.api.get rule"},
		{"another host", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, HTTP: &verdict.HTTP{Method: "POST", Path: "/form", Host: "a.b.example"}}, "deny none ingress app.default default"},
		{"other bytes", verdict.Flow{From: web, To: api, Proto: tcp, Port: 8080, TLS: &verdict.TLS{}}, "deny http ingress  unreadable"},
		{"request where none is asked", verdict.Flow{From: web, To: api, Proto: tcp, Port: 80, HTTP: get("/%2f")}, "allow none egress p.web.api rule"},

		{"no name", verdict.Flow{From: web, To: at("203.0.113.1"), Proto: tcp, Port: 81}, "deny none egress app.default default"},
		{"name", verdict.Flow{From: web, To: at("203.0.113.1"), Proto: tcp, Port: 81, Names: names("a.example.com")}, "allow none egress p.web.plain rule"},
		{"name of a workload", verdict.Flow{From: web, To: api, Proto: tcp, Port: 81, Names: names("a.example.com")}, "deny none egress app.default default"},
		{"name of a private address", verdict.Flow{From: web, To: at("10.9.9.9"), Proto: tcp, Port: 81, Names: names("a.example.com")}, "deny none egress app.default default"},
		{"another name", verdict.Flow{From: web, To: out, Proto: tcp, Port: 81, Names: names("c.example.com")}, "deny none egress app.default default"},
		{"name with request", verdict.Flow{From: web, To: out, Proto: tcp, Port: 80, Names: names("a.example.com"), HTTP: &verdict.HTTP{Method: "GET", Path: "/", Host: "a.example.com"}}, "allow http egress p.web.one rule"},
		{"host of another name", verdict.Flow{From: web, To: out, Proto: tcp, Port: 80, Names: names("a.example.com"), HTTP: &verdict.HTTP{Method: "POST", Path: "/", Host: "b.example.com"}}, "deny none egress app.default default"},
		{"names with different requests", verdict.Flow{From: web, To: out, Proto: tcp, Port: 80, Names: names("a.example.com", "b.example.com")}, "deny none egress p.web.one rules in conflict"},

		{"server name", verdict.Flow{From: web, To: out, Proto: tcp, Port: 443, TLS: &verdict.TLS{ServerName: "A.example.com", Present: true}}, "allow tls egress p.web.sni rule"},
		{"other server name", verdict.Flow{From: web, To: out, Proto: tcp, Port: 443, TLS: &verdict.TLS{ServerName: "a.b.example.com", Present: true}}, "deny none egress app.default default"},
		{"no server name", verdict.Flow{From: web, To: out, Proto: tcp, Port: 443, TLS: &verdict.TLS{ServerName: "a.example.com"}}, "deny none egress app.default default"},

		{"resolver", verdict.Flow{From: web, To: resolver, Proto: udp, Port: 53}, "redirect dns egress p.web.one rule"},
		{"question", verdict.Flow{From: web, To: resolver, Proto: udp, Port: 53, Question: ask("b.example.com", 28)}, "allow dns egress p.web.two rule"},
		{"question of another type", verdict.Flow{From: web, To: resolver, Proto: tcp, Port: 53, Question: ask("b.example.com", 16)}, "deny none egress app.default default"},
		{"question for another name", verdict.Flow{From: web, To: resolver, Proto: udp, Port: 53, Question: ask("c.example.com", 1)}, "deny none egress app.default default"},
		{"question of another resolver", verdict.Flow{From: web, To: other, Proto: udp, Port: 53, Question: ask("c.example.com", 16)}, "allow dns egress p.web.any rule"},
		{"question denied everywhere", verdict.Flow{From: web, To: other, Proto: udp, Port: 53, Question: ask("no.b.example.com", 16)}, "deny none egress p.web.nope rule"},
		{"dns-17 question for everything", verdict.Flow{From: web, To: other, Proto: udp, Port: 53, Question: ask("c.example.com", 255)}, "deny none egress app.default default"},
		{"resolver at another port", verdict.Flow{From: web, To: resolver, Proto: udp, Port: 54}, "deny none egress app.default default"},
		{"question of a subject without names", verdict.Flow{From: api, To: resolver, Proto: udp, Port: 53, Question: ask("c.example.com", 16)}, "allow none egress default ungoverned"},
	}
	rs := decideRules(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := verdict.Decide(&rs, test.flow)
			got := v.Action.String() + " " + v.L7.String() + " " + v.Half.String() + " " + rs.Source(v.Rule).Name + " " + v.Reason.String()
			if got != test.want {
				t.Errorf("Decide(%+v) = %q, want %q\n%+v", test.flow, got, test.want, v)
			}
		})
	}
}
