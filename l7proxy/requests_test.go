// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mpol/compiler/program"
)

// requestCase is one row of the L7 attack cases over HTTP/1. closed means that the connection ends
// without a response. seen is what the server must have seen in the request it got.
type requestCase struct {
	number int
	name   string
	raw    string
	want   int
	seen   string
}

const closed = 0

// judgedProfiles: "public" allows GET /public/** only, "any" all but a denied tree, "host" names.
func judgedProfiles() []program.Profile {
	good := program.NamePattern("good")
	everything := program.RequestRule{Rule: "shop.cart.every", Every: true}
	denied := []program.RequestRule{
		rule("shop.cart.admin", request(subtree("/admin"))),
		rule("shop.cart.exact", request(exactPath("/secret"))),
		rule("shop.cart.post", request(subtree("/x"), "POST")),
	}
	onHost := program.HTTPRequest{Methods: []string{"GET"}, Path: subtree("/public"), Host: &good}
	notHost := program.HTTPRequest{Path: subtree("/public"), Host: &good}
	return []program.Profile{
		publicOnly("public"),
		profile("escapes", nil, half([]program.RequestRule{rule("d", request(exactPath("/a|b")))},
			[]program.RequestRule{rule("e", request(exactPath("/%C3%A4")), request(subtree("/%7C")), request(subtree("/a%7Cb")))})),
		profile("exact", nil, half(nil, []program.RequestRule{rule("e", request(exactPath("/public")))})),
		profile("admin", nil, half(nil, []program.RequestRule{rule("a", request(subtree("/admin")))})),
		profile("any", nil, half(denied, []program.RequestRule{everything})),
		profile("all", nil, half(nil, []program.RequestRule{everything})),
		profile("host", nil, half(nil, []program.RequestRule{rule("h", onHost)})),
		profile("nothost", nil, half([]program.RequestRule{rule("n", notHost)}, []program.RequestRule{everything})),
	}
}

func line(method, target, rest string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: good\r\n" + rest + "\r\n"
}

func hosts(lines string) string { return "GET /public/x HTTP/1.1\r\n" + lines + "\r\n" }

// pathCases are judged by the profile "public": how a path is read.
func pathCases() []requestCase {
	g := func(path string) string { return get(path, "good") }
	return []requestCase{
		{0, "positive control", g("/public/x"), 200, "GET /public/x HTTP/1.1"},
		{0, "other method", line("DELETE", "/public/x", ""), 403, ""},
		{1, "dot segments", g("/public/../admin"), 403, ""},
		{2, "encoded dots", g("/public/%2e%2e/admin"), 403, ""},
		{2, "encoded dots, upper case", g("/public/%2E%2E/admin"), 403, ""},
		{2, "half-encoded dots", g("/public/.%2e/admin"), 403, ""},
		{3, "single dot", g("/public/./x"), 200, "GET /public/x "},
		{4, "merged slashes, outside", g("//admin"), 403, ""},
		{4, "merged slashes", g("/public//x"), 200, "GET /public/x "},
		{5, "dots before merging", g("/public//../admin"), 200, "GET /public/admin "},
		{6, "encoded slash", g("/public%2f..%2fadmin"), 400, ""},
		{6, "encoded slash, upper case", g("/public%2Fx"), 400, ""},
		{6, "encoded backslash", g("/public/%5c..%5cadmin"), 400, ""},
		{7, "backslash", g(`/public\..\admin`), 403, ""},
		{8, "double encoding stays literal", g("/public/%252e%252e/admin"), 200, "/public/%252e%252e/admin"},
		{8, "double encoding outside", g("/%252e%252e/public"), 403, ""},
		{9, "dots with parameters", g("/public/..;/admin"), 403, ""},
		{9, "dots with a parameter", g("/public/..;x=y/admin"), 403, ""},
		{9, "encoded dots with parameters", g("/public/%2e%2e;/admin"), 403, ""},
		{9, "half-encoded dots with parameters", g("/public/.%2e;a/admin"), 403, ""},
		{9, "dot with parameters", g("/public/.;x/y"), 200, "/public/"},
		{9, "encoded dot with parameters", g("/public/%2e;x/y"), 403, ""},
		{9, "encoded dots with parameters at the end", g("/public/x/%2E%2E;a?b"), 403, ""},
		{9, "dots behind parameters", g("/public;a/../admin"), 403, ""},
		{9, "dots within parameters", g("/public/x;../admin"), 200, "/public/x;../admin"},
		{9, "segments that begin with dots", g("/public/..x/.y/...;z"), 200, "/public/..x/.y/..."},
		{9, "parameters only", g("/public/;x/y"), 403, ""},
		{9, "parameters only at the root", g("/;x"), 403, ""},
		{10, "parameters", g("/public;a/b;c"), 200, "GET /public;a/b;c "},
		{10, "parameters outside", g("/admin;x=/public"), 403, ""},
		{11, "encoded semicolon is literal", g("/public%3Bx"), 403, ""},
		{12, "fragment", g("/public#/../admin"), 400, ""},
		{13, "encoded fragment", g("/public%23x"), 403, ""},
		{13, "encoded fragment below", g("/public/%23x"), 200, "/public/%23x"},
		{14, "query is not path", g("/public?/../admin"), 200, "/public?/../admin"},
		{14, "query is no prefix", g("/admin?x=/public"), 403, ""},
		{14, "percent in the query", g("/public?x=100%"), 200, "/public?x=100%"},
		{14, "encoded slashes in the query", g("/public?x=%2F%5c%00"), 200, "/public?x=%2F%5c%00"},
		{15, "encoded question mark", g("/public%3fx"), 403, ""},
		{16, "subtree with slash", g("/public/"), 200, ""},
		{16, "subtree itself", g("/public"), 200, ""},
		{17, "longer segment", g("/publicevil"), 403, ""},
		{18, "case in an allow", g("/PUBLIC/x"), 403, ""},
		{19, "overlong dots stay literal", g("/public/%c0%ae%c0%ae/admin"), 200, "/public/%"},
		{19, "overlong dots outside", g("/%c0%ae%c0%ae/public"), 403, ""},
		{20, "nul", g("/public/%00"), 400, ""},
		{20, "nul in bad escape", g("/public/a%%0000"), 400, ""},
		{20, "bad escape", g("/public/%zz"), 403, ""},
		{20, "short escape", g("/public/a%"), 403, ""},
		{20, "short escape before a query", g("/public/a%2?x"), 403, ""},
		{21, "unreserved escape", g("/%70ublic/x"), 200, "GET /public/x "},
		{22, "raw byte in the path", g("/public/\xe4"), 400, ""},
	}
}

// messageCases are judged by the profile "public": how a message is read.
func messageCases() []requestCase {
	return []requestCase{
		{23, "asterisk form", line("OPTIONS", "*", ""), 404, ""},
		{30, "HTTP/1.0", "GET /public/x HTTP/1.0\r\n\r\n", 426, ""},
		{30, "no Host", "GET /public/x HTTP/1.1\r\n\r\n", 400, ""},
		{37, "underscore in a name", line("GET", "/public/x", "x_role: a\r\n"), 400, ""},
		{41, "lower-case method", line("get", "/public/x", ""), 400, ""},
		{43, "unknown method", line("FOO", "/public/x", ""), 400, ""},
		{44, "QUERY", line("QUERY", "/public/x", "Content-Type: a/b\r\nContent-Length: 0\r\n"), 403, ""},
		{45, "CONNECT", "CONNECT good:443 HTTP/1.1\r\nHost: good:443\r\n\r\n", 403, ""},
		{47, "TRACE", line("TRACE", "/public/x", ""), 403, ""},
		{48, "WebSocket", line("GET", "/public/x",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"), 403, ""},
		{52, "length and chunked", line("GET", "/public/x", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, ""},
		{53, "chunked, identity", line("GET", "/public/x", "Transfer-Encoding: chunked, identity\r\n"), 501, ""},
		{53, "xchunked", line("GET", "/public/x", "Transfer-Encoding: xchunked\r\n"), 501, ""},
		{54, "two lengths", line("GET", "/public/x", "Content-Length: 1\r\nContent-Length: 2\r\n") + "aa", 400, ""},
		{80, "too many headers", line("GET", "/public/x", strings.Repeat("a: b\r\n", 101)), 431, ""},
		{80, "too long headers", line("GET", "/public/x", "a: "+strings.Repeat("b", 61<<10)+"\r\n"), 431, ""},
	}
}

// exactCases are judged by an exact path.
func exactCases() []requestCase {
	g := func(path string) string { return get(path, "good") }
	return []requestCase{
		{16, "exact itself", g("/public"), 200, ""},
		{16, "exact with slash", g("/public/"), 403, ""},
		{16, "exact, below", g("/public/x"), 403, ""},
	}
}

// adminCases show that what the other tables judge outside is really there.
func adminCases() []requestCase {
	g := func(path string) string { return get(path, "good") }
	return []requestCase{
		{10, "judged without parameters", g("/admin;x=y"), 200, "/admin;x=y"},
		{9, "dots with parameters lead here", g("/public/..;/admin"), 200, ""},
		{7, "backslash leads here", g(`/public\..\admin`), 200, "GET /admin "},
	}
}

// anyCases are judged by denies before an allow of everything.
func anyCases() []requestCase {
	g := func(path string) string { return get(path, "good") }
	return []requestCase{
		{0, "positive control", g("/public"), 200, ""},
		{18, "a deny folds case", g("/ADMIN/x"), 403, ""},
		{16, "a deny ignores a trailing slash", g("/secret/"), 403, ""},
		{18, "an exact deny folds case", g("/Secret"), 403, ""},
		{16, "an exact deny is not a tree", g("/secret/x"), 200, ""},
		{10, "a deny sees no parameters", g("/admin;x/y"), 403, ""},
		{9, "a deny sees through dots with parameters", g("/public/..;/admin"), 403, ""},
		{9, "a deny sees through encoded dots with parameters", g("/public/%2e%2e;a/admin"), 403, ""},
		{20, "bad escapes are refused whatever the rules", g("/a%zz"), 403, ""},
		{41, "denied method", line("POST", "/x", "Content-Length: 0\r\n"), 403, ""},
		{41, "another method", line("PUT", "/x", "Content-Length: 0\r\n"), 200, ""},
	}
}

// allCases are judged by an allow of everything.
func allCases() []requestCase {
	g := func(path string) string { return get(path, "good") }
	return []requestCase{
		{45, "CONNECT is refused where everything is allowed", "CONNECT good:443 HTTP/1.1\r\nHost: good:443\r\n\r\n", 403, ""},
		{48, "WebSocket is refused where everything is allowed", line("GET", "/",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"), 403, ""},
		{44, "QUERY", line("QUERY", "/", "Content-Type: a/b\r\nContent-Length: 0\r\n"), 200, "QUERY / "},
		{50, "upgrade to anything", line("GET", "/", "Connection: Upgrade\r\nUpgrade: foo\r\n") + g("/admin"), 403, ""},
		{49, "h2c upgrade is stripped", line("GET", "/",
			"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), 200, "GET / HTTP/1.1"},
		{55, "bare LF in a chunk extension", line("POST", "/", "Transfer-Encoding: chunked\r\n") + "1;a\nb\r\nx\r\n0\r\n\r\n", 400, ""},
		{55, "lone CR in a chunk extension", line("POST", "/", "Transfer-Encoding: chunked\r\n") + "1;a\rb\r\nx\r\n0\r\n\r\n", 400, ""},
		{56, "folded header", line("GET", "/", "a: b\r\n c: d\r\n"), 200, "a: b"},
	}
}

// hostCases are judged by an allow of one host.
func hostCases() []requestCase {
	return []requestCase{
		{0, "positive control", hosts("Host: good\r\n"), 200, "Host: good\r\n"},
		{0, "another host", hosts("Host: other\r\n"), 403, ""},
		{24, "absolute form", "GET http://other/public/x HTTP/1.1\r\nHost: good\r\n\r\n", 404, ""},
		{24, "absolute form of the host", "GET http://good/public/x HTTP/1.1\r\nHost: good\r\n\r\n", 404, ""},
		{25, "absolute form without path", "GET http://good HTTP/1.1\r\nHost: good\r\n\r\n", 404, ""},
		{26, "port", hosts("Host: good:8080\r\n"), 200, "Host: good:8080\r\n"},
		{27, "trailing dot", hosts("Host: good.\r\n"), 200, "Host: good.\r\n"},
		{28, "upper case", hosts("Host: GOOD\r\n"), 200, "Host: GOOD\r\n"},
		{29, "two hosts", hosts("Host: good\r\nHost: other\r\n"), 403, ""},
		{29, "two equal hosts", hosts("Host: good\r\nHost: good\r\n"), 403, ""},
		{31, "user", hosts("Host: good@other\r\n"), 403, ""},
		{31, "comma", hosts("Host: good,other\r\n"), 403, ""},
		{31, "space", hosts("Host: good other\r\n"), 400, ""},
		{17, "longer name", hosts("Host: good.evil\r\n"), 403, ""},
	}
}

// notHostCases are judged by a deny of one host.
func notHostCases() []requestCase {
	return []requestCase{
		{0, "positive control", hosts("Host: other\r\n"), 200, ""},
		{28, "a deny folds case", hosts("Host: GOOD.:80\r\n"), 403, ""},
		{29, "a deny matches two hosts", hosts("Host: x\r\nHost: y\r\n"), 403, ""},
		{31, "a deny matches a user", hosts("Host: x@good\r\n"), 403, ""},
		{31, "a deny matches what cannot be read", hosts("Host: good,x\r\n"), 403, ""},
	}
}

// escapeCases are judged by patterns with escapes, which Envoy leaves in the case they came in.
func escapeCases() []requestCase {
	g := func(path string) string { return get(path, "good") }
	return []requestCase{
		{21, "upper case", g("/%C3%A4"), 200, "GET /%C3%A4 "},
		{21, "lower case", g("/%c3%a4"), 200, "GET /%c3%a4 "},
		{21, "another escape", g("/%c3%a5"), 403, ""},
		{21, "below", g("/%7c/x"), 200, ""},
		{21, "a raw byte is escaped", g("/|/x"), 200, "GET /%7C/x "},
		{21, "a deny matches a raw byte", g("/a|b"), 403, ""},
		{21, "a deny matches its escape", g("/a%7cb"), 403, ""},
		{21, "beside the deny", g("/a%7cb/x"), 200, ""},
	}
}

func requestCases() map[string][]requestCase {
	return map[string][]requestCase{
		"public":  append(pathCases(), messageCases()...),
		"escapes": escapeCases(), "exact": exactCases(), "admin": adminCases(), "any": anyCases(), "all": allCases(),
		"host": hostCases(), "nothost": notHostCases(),
	}
}

// TestRefusedRequests reads what the log says of requests that no rule can allow.
func TestRefusedRequests(t *testing.T) {
	p := newProxy(t)
	p.apply("1", judgedProfiles())
	server := origin(t, server4)
	for _, c := range []struct{ raw, rule string }{
		{get("/a%zz", "good"), refusedEscape},
		{get("/;x", "good"), refusedParameters},
		{get("/%2e%2e;x", "good"), refusedDots},
		{get("/%2f", "good"), "refused:path_normalization_failed"},
		{line("FOO", "/", ""), "refused:http1.codec_error"},
		{line("GET", "/", "a_b: c\r\n"), "refused:http1.unexpected_underscore"},
		{"CONNECT good:443 HTTP/1.1\r\nHost: good:443\r\n\r\n", "refused:rbac_access_denied_matched_policy[none]"},
	} {
		if _, err := p.raw("all", server, c.raw); err != nil {
			t.Fatal(err)
		}
		r := p.reported(func(r Request) bool { return r.Rule == c.rule })
		if !r.Denied || r.Half != "" || r.Profile != "all" {
			t.Errorf("%q: reported %+v", c.raw, r)
		}
	}
	// An upstream's failure and a server's own refusal are no refusals of ours.
	nobody := netip.AddrPortFrom(server.Addr(), 9)
	if got, err := p.raw("all", nobody, get("/", "good")); err != nil || got.Code != 503 {
		t.Errorf("GET from nobody = %d, %v, want 503", got.Code, err)
	}
	if r := p.reported(func(r Request) bool { return r.Server == nobody }); r.Denied || r.Rule != "shop.cart.every" {
		t.Errorf("reported %+v", r)
	}
}

func TestRequests(t *testing.T) {
	p := newProxy(t)
	p.apply("1", judgedProfiles())
	server := origin(t, server4)
	for key, cases := range requestCases() {
		for _, c := range cases {
			t.Run(fmt.Sprintf("l7-%d/%s/%s", c.number, key, c.name), func(t *testing.T) {
				got, err := p.raw(key, server, c.raw)
				if err != nil && c.want != closed {
					t.Fatalf("%q: %v, want %d", c.raw, err, c.want)
				}
				if got.Code != c.want || !strings.Contains(got.Body, c.seen) {
					t.Errorf("%q = %d %q, want %d with %q", c.raw, got.Code, got.Body, c.want, c.seen)
				}
			})
		}
	}
}

// TestDeniedOnly: what was let through is not reported, what was denied is.
func TestDeniedOnly(t *testing.T) {
	p := newProxy(t, func(c *Config) { c.DeniedOnly = true })
	p.apply("1", []program.Profile{publicOnly("k")})
	server := origin(t, server4)
	for i := range 3 { // each behind an allowed one, on the way to one log
		for _, path := range []string{"/public/x", fmt.Sprintf("/admin/%d", i), "/%2f"} {
			if _, err := p.raw("k", server, get(path, "good")); err != nil {
				t.Fatal(err)
			}
		}
		p.reported(func(r Request) bool { return r.Path == fmt.Sprintf("/admin/%d", i) && r.Denied })
	}
	p.reported(func(r Request) bool { return r.Rule == "refused:path_normalization_failed" })
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.events {
		if !r.Denied {
			t.Errorf("reported %+v", r)
		}
	}
}

// TestLongExpression: a name may take an expression far beyond Envoy's own bound.
func TestLongExpression(t *testing.T) {
	p := newProxy(t)
	host := program.NamePattern("**." + strings.Repeat(strings.Repeat("a*b", 20)+".", 3) + "example")
	on := program.HTTPRequest{Methods: []string{"GET"}, Path: subtree("/"), Host: &host}
	p.apply("1", []program.Profile{profile("k", nil, half(nil, []program.RequestRule{rule("h", on)}))})
	server := origin(t, server4)
	good := "x." + strings.Repeat(strings.Repeat("ab", 20)+".", 3) + "example"
	for text, want := range map[string]int{good: 200, "x" + good: 200, good + "x": 403} {
		if got, err := p.raw("k", server, get("/", text)); err != nil || got.Code != want {
			t.Errorf("Host %s: %d, %v, want %d", text, got.Code, err, want)
		}
	}
}
