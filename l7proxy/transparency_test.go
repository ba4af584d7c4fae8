// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"mpol/compiler/program"
)

// TestTransparent compares what the server gets, byte by byte, with what the client sent.
func TestTransparent(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{publicOnly("k")})
	server := origin(t, server4)
	const added = "x-forwarded-proto: http\r\n" // by Envoy, where there is none
	for _, c := range []struct{ name, headers, want string }{
		{"l7-0/case of names", "X-MiXeD-CaSe: Value\r\nAccept: */*\r\n", "X-MiXeD-CaSe: Value\r\nAccept: */*\r\n" + added},
		{"l7-26/host with port", "", added},
		{"l7-33/original destination header is not obeyed", "x-envoy-original-dst-host: 192.0.2.1:1\r\n", "x-envoy-original-dst-host: 192.0.2.1:1\r\n" + added},
		{"l7-34/forwarded for", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"},
		{"l7-34/control headers", "x-envoy-retry-on: 5xx\r\nx-envoy-upstream-rq-timeout-ms: 1\r\nx-envoy-max-retries: 9\r\n", added},
		{"l7-34/client certificate", "X-Forwarded-Client-Cert: By=a\r\n", "X-Forwarded-Client-Cert: By=a\r\n" + added},
		{"l7-34/request id", "X-Request-Id: 7\r\n", "X-Request-Id: 7\r\n" + added},
		{"l7-36/user agent and cookies", "User-Agent: a\r\nCookie: b=c\r\nCookie: d=e\r\n", "User-Agent: a\r\nCookie: b=c\r\nCookie: d=e\r\n" + added},
		{"l7-42/method override", "X-HTTP-Method-Override: DELETE\r\n", "X-HTTP-Method-Override: DELETE\r\n" + added},
		{"l7-56/folded", "a: b\r\n c: d\r\n", "a: b c: d\r\n" + added},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := p.raw("k", server, "GET /public/x?q=1%202 HTTP/1.1\r\nHost: Good:8080\r\n"+c.headers+"\r\n")
			if err != nil || got.Code != 200 {
				t.Fatalf("%d, %v", got.Code, err)
			}
			want := "GET /public/x?q=1%202 HTTP/1.1\r\nHost: Good:8080\r\n" + c.want
			if got.Body != want {
				t.Errorf("the server got\n%q, want\n%q", got.Body, want)
			}
			delete(got.Header, "X-Peer")
			if text := fmt.Sprint(got.Header); text != fmt.Sprintf("map[Content-Length:[%d] Date:[today]]", len(want)) {
				t.Errorf("the client got the header %s", text)
			}
		})
	}
}

// TestPipelined judges each request of a connection by itself. Envoy closes a connection on which
// refusals and further requests pile up; pairs stay below that. (l7-57)
func TestPipelined(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{publicOnly("k")})
	server := origin(t, server4)
	hidden := get("/admin", "good")
	good, bad := get("/public/1", "good"), hidden
	withBody := fmt.Sprintf("GET /public/2 HTTP/1.1\r\nHost: good\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden)
	for name, c := range map[string]struct {
		text string
		want []int
	}{
		"allowed first":  {good + bad, []int{200, 403}},
		"denied first":   {bad + good, []int{403, 200}},
		"hidden in body": {withBody + good, []int{200, 200}},
		"behind a body":  {withBody + bad, []int{200, 403}},
	} {
		conn, err := p.dial("k", server)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, c.text); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(conn)
		for i, want := range c.want {
			got, err := exchange(conn, reader, "")
			if err != nil || got.Code != want {
				t.Errorf("%s: response %d = %d %q, %v, want %d", name, i, got.Code, got.Body, err, want)
			}
		}
	}
}

// TestClientAddress looks at the address that the server sees.
func TestClientAddress(t *testing.T) {
	p := newProxy(t)
	var profiles []program.Profile
	for _, c := range []struct{ local, looped bool }{{false, false}, {true, false}, {true, true}} {
		one := publicOnly(fmt.Sprintf("local=%v,looped=%v", c.local, c.looped))
		one.Local, one.Looped = c.local, c.looped
		profiles = append(profiles, one)
	}
	p.apply("1", profiles)
	for _, one := range profiles {
		for server, client := range map[string]string{server4: client4, server6: client6} {
			got, err := p.raw(one.Key, origin(t, server), get("/public/x", "good"))
			peer := got.Header.Get("X-Peer")
			if own := one.Local && !one.Looped; err != nil || got.Code != 200 || (peer == client) != own {
				t.Errorf("%s: the server sees %s (%d, %v); the client is %s, shown: %v", one.Key, peer, got.Code, err, client, own)
			}
		}
	}
}

// TestLoop connects to the listeners themselves. (l7-78)
func TestLoop(t *testing.T) {
	p := newProxy(t)
	everything := []program.RequestRule{{Rule: "e", Every: true}}
	p.apply("1", []program.Profile{
		profile("http", nil, half(nil, everything)),
		namesProfile("tls", nil, everything),
	})
	server := origin(t, server4)
	if got, err := p.raw("http", server, get("/", "good")); err != nil || got.Code != 200 {
		t.Errorf("through the redirection: %d, %v, want 200", got.Code, err)
	}
	if conn, err := p.hello("tls", secureOrigin(t, server4), "good", nil); err != nil {
		t.Errorf("TLS through the redirection: %v", err)
	} else {
		conn.Close()
	}
	for _, ip := range []string{"127.0.0.1", "::1"} {
		for _, key := range []string{"http", "tls"} {
			port, _ := p.Port(key)
			direct := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
			conn, err := p.dialLoopback(direct)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if key == "tls" {
				if _, err := p.handshake(conn, "good"); err == nil {
					t.Errorf("TLS to %s itself succeeded", direct)
				}
			} else if got, err := exchange(conn, bufio.NewReader(conn), get("/", "good")); err != nil || got.Code != 403 {
				t.Errorf("GET from %s itself = %d, %v, want 403", direct, got.Code, err)
			}
		}
	}
	r := p.reported(func(r Request) bool { return r.Kind == program.L7HTTP && r.Denied })
	if r.Rule != refusedLoop || r.Half != "" {
		t.Errorf("reported %+v", r)
	}
	r = p.reported(func(r Request) bool { return r.Kind == program.L7TLS && r.Denied })
	if r.Rule != refusedLoop {
		t.Errorf("reported %+v", r)
	}
}

// TestDomainPeer asks for the Host too.
func TestDomainPeer(t *testing.T) {
	p := newProxy(t)
	peer := &program.Domain{Patterns: []program.NamePattern{"*.example"}, Except: []program.NamePattern{"no.example"}}
	r := rule("d", request(subtree("/public"), "GET"))
	r.Names = peer
	p.apply("1", []program.Profile{
		profile("some", half(nil, []program.RequestRule{r}), nil),
		profile("every", half(nil, []program.RequestRule{{Rule: "e", Every: true, Names: peer}}), nil),
	})
	server := origin(t, server4)
	for _, c := range []struct {
		key, path, host string
		want            int
	}{
		{"some", "/public/x", "a.example", 200},
		{"some", "/public/x", "A.Example.:443", 200},
		{"some", "/admin", "a.example", 403},
		{"some", "/public/x", "no.example", 403},
		{"some", "/public/x", "NO.example.:80", 403},
		{"some", "/public/x", "a.test", 403},
		{"every", "/admin", "a.example", 200},
		{"every", "/admin", "a.test", 403},
		{"every", "/admin", "no.example", 403},
	} {
		if got, err := p.raw(c.key, server, get(c.path, c.host)); err != nil || got.Code != c.want {
			t.Errorf("%s: GET %s from %s = %d, %v, want %d", c.key, c.path, c.host, got.Code, err, c.want)
		}
	}
	denied := p.reported(func(r Request) bool { return r.Host == "a.test" })
	if !denied.Denied || denied.Half != "egress" || !strings.Contains(denied.Details, "rbac") {
		t.Errorf("reported %+v", denied)
	}
}
