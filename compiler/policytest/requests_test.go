// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"strings"
	"testing"

	"mpol/compiler/policytest"
)

// A line that states no request stands for each: where one is judged otherwise, whichever it is, the line
// is an error.
func TestEveryRequest(t *testing.T) {
	const unclear = "error: the verdict depends on the "
	all := `all: allow from w on tcp/80 http { any "/**" } `
	tests := []struct{ rules, want string }{
		{`a: allow from w on tcp/80`, "pass"},
		{all, "pass"}, // what is refused whatever the rules is left aside
		{`a: allow from w on tcp/80 http { any ~"/.*" }`, "pass"},
		{`a: allow from w on tcp/80 http { GET "/**" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, SOURCE "/**" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any "/" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any "/{one}" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any "/", any "/{one}", any "/{one}/", any "/{one}/{two}" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any "/{one}/**" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any ~"/[a-z-]+" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any ~"/[a-z0-9/-]*" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any ~"/[^0-9]*" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any ~"/(|[^.].*)" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any ~"/.{0,90}" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any "/**", CONNECT "/x" }`, unclear + "request"},
		{`a: allow from w on tcp/80 http { any "/**", GET "/x" upgrade "websocket" }`, unclear + "request"},
		{all + `no: deny from w on tcp/80 http { any "/x" }`, unclear + "request"},
		{all + `no: deny from w on tcp/80 http { GET ~"/[^/]+/admin" }`, unclear + "request"},
		{all + `no: deny from w on tcp/80 http { GET ~"/[^a-z]" }`, unclear + "request"},
		{all + `no: deny from w on tcp/80 http { any "/**" header "x" ~ "[^a]+" }`, unclear + "request"},
		{all + `no: deny from w on tcp/80 grpc { "p.S/M" }`, unclear + "request"},
		{`@allow("broad-domain", "x") a: allow from w on tcp/80 dns { "**" types A, TXT }`, unclear + "question"},
		{`@allow("broad-domain", "x") a: allow from w on tcp/80 dns { "**" types A, AAAA, TXT }`, unclear + "question"},
		{`a: allow from w on tcp/80 no: deny from w on tcp/80 tls { sni some }`, unclear + "request"},
	}
	for _, tt := range tests {
		t.Run(tt.rules, func(t *testing.T) { judged(t, tt.rules, "allow c -> d on tcp/80", tt.want) })
	}
}

// A stated request may still stand for several, and its ends may have no flow.
func TestStated(t *testing.T) {
	const rules = `every: allow from w on tcp/80 http { any "/**", CONNECT "/x" }
some: allow from w on tcp/81 http { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, SOURCE "/**" }
ask:  allow from w on tcp/82 dns { "a.example" }
more: allow from w on tcp/83 dns { "a.example" types A, AAAA, HTTPS, SVCB, TXT }
ping: allow from w on icmp, icmpv6`
	for _, tt := range []struct{ line, want string }{
		{`allow c -> d on tcp/80 any "/y"`, "pass"},
		{`deny c -> d on tcp/80 any "/%2f" by refused`, "pass"},
		{`allow c -> d on tcp/81 any "/y"`, "error: the verdict depends on the method"},
		{`deny c -> d on tcp/81 any "/y"`, "error: the verdict depends on the method"},
		{`allow c -> d on tcp/82 dns "a.example"`, "pass"},
		{`deny c -> d on tcp/82 dns "a.example"`, "error: the verdict depends on the type of the question"},
		{`deny c -> d on tcp/82 dns "b.example"`, "pass"},
		{`allow c -> d on tcp/83 dns "a.example"`, "pass"},
		{`deny c -> d on tcp/82 dns "a.example" TXT`, "pass"},
		{`allow c -> d on icmp/8, icmpv6/128`, "pass"},
		{`allow v4 -> d4 on icmp/8`, "pass"},
		{`allow v4 -> d4 on icmpv6/128`, "error: icmpv6 is IPv6 only"},
		{`allow v6 -> d6 on icmp/8`, "error: icmp is IPv4 only"},
		{`allow v4 -> d6 on tcp/80 GET "/"`, "error: the two ends have no addresses of one family"},
		{`allow o -> p on tcp/80`, "error: the two ends have the same address"},
	} {
		t.Run(tt.line, func(t *testing.T) { judged(t, rules, tt.line, tt.want) })
	}
}

// judged holds what becomes of a line against want, where some rules are those of s towards w.
func judged(t *testing.T, rules, line, want string) {
	t.Helper()
	text := `package p
default deny
workload w = app = "w"
workload s = app = "s"
domains less = "*.b.example" except "a*.b.example"
domains some = "*.b.example" except less
policy w for w { ingress none egress { s: allow to s on any } }
policy s for s { egress none ingress { ` + rules + ` } }
test "t" {
  given c  = { app = "w" }
  given d  = { app = "s" }
  given v4 = { app = "w" } at 10.0.0.1
  given v6 = { app = "w" } at fd00::1
  given d4 = { app = "s" } at 10.0.0.2
  given d6 = { app = "s" } at fd00::2
  given o = 203.0.113.1
  given p = 203.0.113.1
  ` + line + `
}
`
	r := policytest.Run(module(t, "t.mpol", text), policytest.Options{})[0]
	got := r.Status.String()
	if r.Summary != "" {
		got += ": " + r.Summary
	}
	if !strings.HasPrefix(got, want) || want == "pass" && got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
