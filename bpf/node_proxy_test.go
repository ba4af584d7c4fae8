// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

const proxied = `
default deny
policy w1 for w1 {
  egress {
    get: allow to world on tcp/80 http { GET "/" }
    api: allow to w2 on tcp/8080
    name: allow to "c.example" on tcp/443
    svc: allow to svc on tcp/8080
  }
}
policy w2 for w2 { ingress { get: allow from w1, app on tcp/8080 http { GET "/" } } }
policy app for app {
  egress {
    get: allow to world on tcp/80 http { GET "/" }
    api: allow to w2 on tcp/8080
    plain: allow to world on tcp/8080
    name: allow to "c.example" on tcp/443
    svc: allow to svc on tcp/8080, tcp/8081
  }
}
policy svc for svc { ingress { app: allow from app on tcp/8080  w1: allow from w1 on tcp/8080 http { GET "/" } } }
`

// ask connects and returns what the other side says, or the outcome of the attempt.
func (n *node) ask(from *lab.Host, to netip.AddrPort) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), nodeSilence)
	defer cancel()
	conn, err := from.Dial(ctx, "tcp", to)
	if err != nil {
		return outcomeOf(err)
	}
	defer conn.Close()
	n.must(conn.SetDeadline(time.Now().Add(nodeSilence)))
	if _, err := conn.Write([]byte(question)); err != nil {
		return outcomeOf(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		return outcomeOf(err)
	}
	return strings.ReplaceAll(string(said), conn.LocalAddr().String(), "CLIENT")
}

func TestRedirectFromDevices(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080)
	n.apply(proxied)
	sites := []netip.AddrPort{
		netip.AddrPortFrom(n.C.IPv4, 80), netip.AddrPortFrom(n.C.IPv6, 80),
		netip.AddrPortFrom(w2.IPv4, 8080), netip.AddrPortFrom(w2.IPv6, 8080),
	}
	for _, to := range sites {
		if got := n.ask(w1.Host, to); got != refused {
			t.Errorf("%s without a proxy: %s, want %s", to, got, refused)
		}
		n.waitEvent("no listener", func(e Event) bool { return e.Reason.String() == "no listener" })
	}
	startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, nodeL7Port)
	for _, to := range sites {
		if got, want := n.ask(w1.Host, to), fmt.Sprintf("proxy: CLIENT to %s", to); got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
}

// A listener of somebody else at the proxy's port takes no flow.
func TestRedirectToAStranger(t *testing.T) {
	n := newNode(t, nil)
	n.apply(proxied)
	stranger, err := n.Cgroup.Sub("stranger")
	n.must(err)
	startProxy(t, n.Node, stranger, n.cfg.Steering.Marks.Upstream, nodeL7Port)
	to := netip.AddrPortFrom(n.C.IPv4, 80)
	if got := n.ask(n.Workloads[0].Host, to); got != refused {
		t.Errorf("%s: %s, want %s", to, got, refused)
	}
}

func TestDNSIsRedirected(t *testing.T) {
	n := newNode(t, nil)
	n.apply(proxied)
	startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, nodeDNSPort)
	for _, resolver := range []netip.Addr{n.Resolver4, n.Resolver6} {
		to := netip.AddrPortFrom(resolver, 53)
		if got, want := n.ask(n.Workloads[0].Host, to), fmt.Sprintf("proxy: CLIENT to %s", to); got != want {
			t.Errorf("%s over tcp: %q, want %q", to, got, want)
		}
		conn, err := n.Workloads[0].Dial(t.Context(), "udp", to)
		n.must(err)
		n.must(conn.SetDeadline(time.Now().Add(nodeSilence)))
		_, err = conn.Write([]byte("question"))
		n.must(err)
		buffer := make([]byte, 200)
		size, err := conn.Read(buffer)
		if want := fmt.Sprintf("proxy: %s to %s", conn.LocalAddr(), to); string(buffer[:size]) != want {
			t.Errorf("%s over udp: %q, %v; want %q", to, buffer[:size], err, want)
		}
		client := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		c, ok := n.d.Owner(unix.IPPROTO_UDP, client, to)
		if want := (Call{Client: "w1", Server: to}); c != want || !ok {
			t.Errorf("Owner: %+v, %v; want %+v", c, ok, want)
		}
		conn.Close()
	}
}

const legVariable = "MPOL_TEST_LEG"

// TestLeg is the process of a proxy's own leg; without the variable it has nothing to do.
func TestLeg(t *testing.T) {
	words := strings.Fields(os.Getenv(legVariable))
	if len(words) != 3 {
		return
	}
	var mark int
	if _, err := fmt.Sscan(words[0], &mark); err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{Timeout: nodeSilence, Control: func(_, _ string, raw syscall.RawConn) error {
		return transparent(raw, mark)
	}}
	if words[1] != "-" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(words[1])}
	}
	conn, err := dialer.Dial("tcp", words[2])
	if err != nil {
		fmt.Println(outcomeOf(err))
		return
	}
	defer conn.Close()
	fmt.Println(exchange(conn))
}

// leg opens a connection in a cgroup of the node from an address that need not be the node's.
func (n *node) leg(cgroup *lab.Cgroup, from string, to netip.AddrPort) string {
	n.t.Helper()
	cmd := n.Node.Command(n.t.Context(), os.Args[0], "-test.run=^TestLeg$")
	cmd.Cgroup = cgroup
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s", legVariable, n.cfg.Steering.Marks.Upstream, from, to))
	out, err := cmd.Output()
	n.must(err)
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// The proxy's own leg passes with its client's address or the node's; the same from anybody else
// does not, whatever mark it carries.
func TestLegsOfTheProxy(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080)
	n.apply(proxied)
	stranger, err := n.Cgroup.Sub("stranger")
	n.must(err)
	for _, pair := range [][2]netip.Addr{{w1.IPv4, w2.IPv4}, {w1.IPv6, w2.IPv6}} {
		to := netip.AddrPortFrom(pair[1], 8080)
		for _, from := range []string{pair[0].String(), "-"} {
			if got := n.leg(n.proxy, from, to); got != works {
				t.Errorf("the proxy from %s to %s: %s", from, to, got)
			}
			if got := n.leg(stranger, from, to); got == works {
				t.Errorf("a stranger from %s to %s: %s", from, to, got)
			}
		}
	}
}
