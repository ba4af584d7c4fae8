// SPDX-License-Identifier: Apache-2.0

package enforceable_test

import (
	"testing"

	"mpol/agent/enforceable"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// parse checks a policy for web with the given blocks.
func parse(t *testing.T, blocks string) *check.Module {
	t.Helper()
	return parseText(t, "package p\ndefault deny\nworkload web = app = \"web\"\npolicy web for web {\n"+blocks+"\n}\n")
}

func parseText(t *testing.T, text string) *check.Module {
	t.Helper()
	file, list := lang.Parse("p.mpol", []byte(text))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	if m == nil {
		t.Fatalf("the policy has errors: %v", append(list, more...))
	}
	return m
}

// A policy for the host is refused at its name, where it decides something.
func TestCheck_host(t *testing.T) {
	for blocks, want := range map[string]bool{
		"ingress none":                      true,
		"egress { allow to any on tcp/80 }": true,
		"egress { audit deny to any on tcp/80 allow to any on tcp/443 }": true,
		"egress { audit deny to any on tcp/80 }":                         false,
	} {
		list := enforceable.Check(parseText(t, "package p\ndefault deny\npolicy own for host {\n"+blocks+"\n}\n"))
		got := len(list) == 1 && list[0].Code == diag.NotSupported && list[0].Span.String() == "p.mpol:3:8"
		if got != want || len(list) > 1 {
			t.Errorf("Check(%s) = %v, want an error at the name: %v", blocks, list, want)
		}
	}
	if list := enforceable.Check(parseText(t, "package p\ndefault deny\npolicy own for host audit {\ningress none\n}\n")); len(list) > 0 {
		t.Errorf("Check(audit policy) = %v, want nothing", list)
	}
}

// Each row is refused at its place, and what stands beside it is not.
func TestCheck(t *testing.T) {
	tests := []struct{ name, bad, at, good string }{
		{
			"grpc", `ingress { allow from any on tcp/80 grpc { "p.S/M" } }`, "5:36",
			`ingress { allow from any on tcp/80 http { POST "/p.S/M" } }`,
		},
		{
			"header", `ingress { allow from any on tcp/80 http { GET "/a", GET "/b" header "x" present } }`, "5:36",
			`ingress { allow from any on tcp/80 http { GET "/a", GET "/b" } }`,
		},
		{
			"upgrade", `ingress { allow from any on tcp/80 http { GET "/a" upgrade "websocket" } }`, "5:36",
			`ingress { allow from any on tcp/80 http { GET "/a" } }`,
		},
		{
			"CONNECT", `ingress { allow from any on tcp/80 http { GET, CONNECT "/a" } }`, "5:36",
			`ingress { allow from any on tcp/80 http { GET, POST "/a" } }`,
		},
		{
			"private", `egress { allow to "a.example.com", "b.example.com" private 10.0.0.0/8 on tcp/80 }`, "5:19",
			`egress { allow to "a.example.com", "b.example.com" on tcp/80 }`,
		},
		{
			"via cname", `egress { allow to "a.example.com" via cname "*.cdn.example.net" on tcp/80 }`, "5:19",
			`egress { allow to "a.example.com", "*.cdn.example.net" on tcp/80 }`,
		},
		{
			"dns in ingress", `ingress { allow from any on udp/53 dns { "a.example.com" } }`, "5:36",
			`egress { allow to any on udp/53 dns { "a.example.com" } }`,
		},
		{
			"audit", `ingress { deny from any on tcp/80 http { GET "/a" header "x" present } }`, "5:35",
			`ingress { audit deny from any on tcp/80 http { GET "/a" header "x" present } }`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			list := enforceable.Check(parse(t, test.bad))
			if len(list) != 1 || list[0].Code != diag.NotSupported || list[0].Severity != diag.Error || list[0].Span.String() != "p.mpol:"+test.at {
				t.Errorf("Check(%s) = %v, want one %s at %s", test.bad, list, diag.NotSupported, test.at)
			}
			if list := enforceable.Check(parse(t, test.good)); len(list) > 0 {
				t.Errorf("Check(%s) = %v, want nothing", test.good, list)
			}
		})
	}
}
