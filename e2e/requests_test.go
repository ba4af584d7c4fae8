// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// requestsPolicy lets the clients read one folder of a.example and speak TLS with it, and read one
// of two's.
const requestsPolicy = `
@owner("net") policy clients for (app in ["one", "daemon"]) {
  egress {
    two: allow to two         on tcp/8080 http { GET "/public/**" }
    a:   allow to "a.example" on tcp/80   http { GET "/public/**" }
    tls: allow to "a.example" on tcp/443  tls  { sni "a.example" }
    raw: allow to two         on tcp/9090
  }
}
@owner("net") policy machine for (app in ["one", "three", "daemon"]) {
  egress { node: allow to host on tcp/7000, tcp/15000-16000 }
}
`

func requesting(t *testing.T) *node.Node {
	t.Helper()
	n := start(t, setup{policy: requestsPolicy})
	two := n.Workloads[1]
	_, err := two.Web(lab.WebConfig{Name: "two", Plain: []netip.AddrPort{
		netip.AddrPortFrom(two.IPv4, 8080), netip.AddrPortFrom(two.IPv6, 8080),
		netip.AddrPortFrom(two.IPv4, 9090), netip.AddrPortFrom(two.IPv6, 9090),
	}})
	check(t, err)
	return n
}

// raw sends bytes over a new connection and says the status of the first answer or how the
// connection failed. Client libraries would tidy the bytes.
func raw(t *testing.T, c lab.Client, to netip.AddrPort, text string) string {
	t.Helper()
	conn, err := c.Connect(t.Context(), to)
	check(t, err)
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return lab.Closed
	}
	return answerOf(t, conn)
}

// answerOf reads an answer and says its status.
func answerOf(t *testing.T, conn *lab.Conn) string {
	t.Helper()
	check(t, conn.SetReadDeadline(time.Now().Add(patience)))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return failure(err)
	}
	response.Body.Close()
	return strconv.Itoa(response.StatusCode)
}

// sites are the addresses of a.example and two's web server by family.
func sites(n *node.Node) map[string][2]netip.Addr {
	return map[string][2]netip.Addr{
		"4": {n.AB.IPv4, n.Workloads[1].IPv4}, "6": {n.AB.IPv6, n.Workloads[1].IPv6},
	}
}

// TestRequests tries what clients use to get around a rule.
func TestRequests(t *testing.T) {
	t.Parallel()
	n := requesting(t)
	for who, c := range clients(n) {
		for version, to := range sites(n) {
			t.Run(who+" IPv"+version, func(t *testing.T) {
				curl := func(args ...string) string {
					return c.Curl(t.Context(), append([]string{"-" + version, "--max-time", "4"}, args...)...).Outcome()
				}
				a, two := netip.AddrPortFrom(to[0], 80), netip.AddrPortFrom(to[1], 8080)
				tls := netip.AddrPortFrom(to[0], 443)
				get := func(host, path, more string) string {
					return raw(t, c, a, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host, more))
				}
				fronted := []string{"--connect-to", "b.example:443:" + tls.String(), "https://b.example/"}
				compare(t,
					step{"the rule's request", curl("http://a.example/public/1"), "200"},
					step{"raw", get("a.example", "/public/1", ""), "200"},
					step{"another method", curl("-X", "POST", "http://a.example/public/1"), "403"},
					step{"another path", curl("http://a.example/private"), "403"},
					step{"a path that climbs", get("a.example", "/public/../private", ""), "403"},
					step{"an escaped slash", get("a.example", "/public%2f..%2fprivate", ""), "400"},
					step{"another Host at the same address", get("b.example", "/public/1", ""), "403"},
					step{"a URL instead of the Host", get("a.example", "http://b.example/public/1", ""), "404"},
					step{"CONNECT (l7-45)", raw(t, c, a, "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n"), "403"},
					step{"an upgrade (l7-48)", get("a.example", "/public/1",
						"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "403"},
					step{"no HTTP", raw(t, c, a, "EHLO a.example\r\n\r\n"), "400"},
					step{"of two", curl("http://" + two.String() + "/public/1"), "200"},
					step{"of two, another path", curl("http://" + two.String() + "/private"), "403"},
					step{"the rule's server name", curl("https://a.example/"), "200"},
					step{"another server name there (dns-66)", curl(fronted...), lab.Closed},
					step{"no server name", curl("-k", "https://"+tls.String()+"/"), lab.Closed},
					step{"no TLS", raw(t, c, tls, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), lab.Closed},
				)
			})
		}
	}
}

// TestRequests_notLearned sends the rule's Host and server name to an address that no answer gave
// (l7-32): the kernel knows nothing of names, so nothing reaches the proxy.
func TestRequests_notLearned(t *testing.T) {
	t.Parallel()
	n := requesting(t)
	for who, c := range clients(n) {
		for version, elsewhere := range map[string]netip.Addr{"4": n.C.IPv4, "6": n.C.IPv6} {
			curl := func(args ...string) string {
				return c.Curl(t.Context(), append([]string{"-" + version, "--max-time", "4"}, args...)...).Outcome()
			}
			spoof := "a.example:80:" + netip.AddrPortFrom(elsewhere, 80).String()
			front := "a.example:443:" + netip.AddrPortFrom(elsewhere, 443).String()
			compare(t,
				step{who + version + " where the name leads", curl("http://a.example/public/1"), "200"},
				step{who + version + " elsewhere", curl("--connect-to", spoof, "http://a.example/public/1"), lab.Refused},
				step{who + version + " elsewhere by TLS", curl("-k", "--connect-to", front, "https://a.example/"), lab.Refused})
		}
	}
	for _, seen := range n.C.Requests() {
		t.Errorf("c.example's server got %s %s of %s", seen.Method, seen.Target, seen.Remote)
	}
}

// TestRequests_liveEdit edits the rules under a connection: its next request is judged by the new
// ones (l7-64).
func TestRequests_liveEdit(t *testing.T) {
	t.Parallel()
	n := requesting(t)
	for who, c := range clients(n) {
		compare(t, step{who + " look-up", c.Curl(t.Context(), "-4", "http://a.example/public/0").Outcome(), "200"})
	}
	live := map[string]*lab.Live{}
	for who, c := range clients(n) {
		for _, to := range []netip.AddrPort{netip.AddrPortFrom(n.AB.IPv4, 80), netip.AddrPortFrom(n.Workloads[1].IPv6, 8080)} {
			l := &lab.Live{Client: c, To: to, Host: "a.example"}
			t.Cleanup(func() { _ = l.Close() })
			live[who+" "+to.String()] = l
		}
	}
	folders := []string{"/public/", "/news/", "/public/"}
	for i, now := range folders {
		if i > 0 {
			check(t, n.Apply(t.Context(), policyFile, `8080 http { GET "`+folders[i-1], `8080 http { GET "`+now))
			check(t, n.Apply(t.Context(), policyFile, `tcp/80   http { GET "`+folders[i-1], `tcp/80   http { GET "`+now))
		}
		for who, l := range live {
			for _, folder := range folders[:2] {
				if folder != now {
					compare(t, step{fmt.Sprintf("%s after %d edits, %s", who, 2*i, folder), l.Get(t.Context(), folder+"x"), "403"})
				}
			}
			eventually(t, fmt.Sprintf("%s after %d edits, %s", who, 2*i, now), "200", func() string {
				return l.Get(t.Context(), now+"x")
			})
		}
	}
}

// listening are the ports of TCP listeners of Envoy in the node's namespace.
func listening(t *testing.T, n *node.Node) []uint16 {
	t.Helper()
	out, err := n.World.Node.Command(t.Context(), "ss", "-Hltn").CombinedOutput()
	if err != nil {
		t.Fatalf("ss: %v: %s", err, out)
	}
	seen := map[uint16]bool{}
	var ports []uint16
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		at := fields[3]
		port, err := strconv.ParseUint(at[strings.LastIndexByte(at, ':')+1:], 10, 16)
		check(t, err)
		if p := uint16(port); p >= 15000 && p < 16000 && !seen[p] {
			seen[p] = true
			ports = append(ports, p)
		}
	}
	return ports
}

// TestRequests_direct connects to the proxies' own ports, from workloads and from outside: whatever
// the address, nothing may come of it (l7-78).
func TestRequests_direct(t *testing.T) {
	t.Parallel()
	n := requesting(t)
	compare(t, step{"through the proxy", n.Device(0).Curl(t.Context(), "-4", "http://a.example/public/1").Outcome(), "200"})
	ports := listening(t, n)
	if len(ports) < 4 { // DNS and three profiles or more
		t.Fatalf("the proxies listen at %v, want at least 4 ports", ports)
	}
	from := clients(n)
	from["outside"] = lab.Client{Host: n.Outside}
	from["three"] = n.Device(2) // no rule of its own leads to a proxy
	targets := append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, n.NodeAddresses...)
	_, err := n.World.Node.Echo(at("::", 7000))
	check(t, err)
	for who, c := range from {
		for _, to := range targets {
			if !to.IsLoopback() || c.Host == n.World.Node {
				compare(t, step{who + " at another port of " + to.String(), tcp(t, c, netip.AddrPortFrom(to, 7000)), lab.Answered})
			}
		}
		for _, port := range ports {
			for _, to := range targets {
				if to.IsLoopback() && c.Host != n.World.Node {
					continue // its own loopback
				}
				got := raw(t, c, netip.AddrPortFrom(to, port), "GET /public/1 HTTP/1.1\r\nHost: a.example\r\n\r\n")
				if got != lab.Closed && got != lab.Silent && got != lab.Refused {
					t.Errorf("%s at %s port %d: %s, want nothing", who, to, port, got)
				}
			}
		}
	}
	for _, server := range []*lab.Web{n.AB.Web, n.C.Web} {
		if seen := server.Requests(); len(seen) > 1 {
			t.Errorf("a server got %v, want at most the first request", seen)
		}
	}
}

// TestRequests_noEnvoy kills Envoy: what needs it is refused, what does not goes on, and it comes
// back by itself.
func TestRequests_noEnvoy(t *testing.T) {
	t.Parallel()
	n := requesting(t)
	get := func(c lab.Client, port uint16) string {
		to := netip.AddrPortFrom(n.Workloads[1].IPv4, port)
		return c.Curl(t.Context(), "--max-time", "3", "http://"+to.String()+"/public/1").Outcome()
	}
	for who, c := range clients(n) {
		compare(t, step{who + " before", get(c, 8080), "200"})
	}
	check(t, n.KillEnvoy())
	for who, c := range clients(n) {
		compare(t,
			step{who + " without Envoy", get(c, 8080), lab.Refused},
			step{who + " what needs none", get(c, 9090), "200"})
	}
	for _, c := range clients(n) {
		check(t, lab.Wait(20*time.Second, "Envoy's return", func() error {
			if got := get(c, 8080); got != "200" {
				return errors.New(got)
			}
			return nil
		}))
	}
	// An edit waits for Envoy too: no generation is in force by halves.
	check(t, n.KillEnvoy())
	check(t, n.Apply(t.Context(), policyFile, `8080 http { GET "/public/`, `8080 http { GET "/news/`))
	for who, c := range clients(n) {
		compare(t,
			step{who + " what the edit forbids", get(c, 8080), "403"},
			step{who + " what needs no Envoy, after the edit", get(c, 9090), "200"})
	}
}
