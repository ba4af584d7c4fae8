// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
	"mpol/e2e/lab"
)

const echoVariable = "MPOL_TEST_ECHO"

// TestEcho is the process of startEcho; without the variable it has nothing to do.
func TestEcho(t *testing.T) {
	addresses := strings.Fields(os.Getenv(echoVariable))
	if len(addresses) == 0 {
		return
	}
	for _, address := range addresses {
		serveEcho(t, address)
	}
	fmt.Println("ready")
	select {} // until it is killed
}

// host workloads, judged by their sockets; the server answers "hello".
func TestHostWorkloads(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	node4, node6 := n.NodeAddresses[0], n.NodeAddresses[1]
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, 8080, 8081)
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080)
	n.startEcho(n.svc, netip.IPv4Unspecified(), netip.IPv6Unspecified(), 8080, 8081, 8082)
	n.apply(proxied)
	for _, a := range []netip.Addr{n.C.IPv4, n.C.IPv6} {
		if got := n.leg(n.app, "-", netip.AddrPortFrom(a, 80)); got != refused {
			t.Errorf("%s without a proxy: %s, want %s", a, got, refused)
		}
	}
	startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, nodeL7Port)
	stranger, err := n.root.Sub("stranger")
	n.must(err)
	outsideRoot, err := n.Cgroup.Sub("elsewhere")
	n.must(err)
	rows := []struct {
		name   string
		cgroup *lab.Cgroup
		to     netip.AddrPort
		want   string
	}{
		{"out", n.app, netip.AddrPortFrom(n.C.IPv4, 8080), works},
		{"out IPv6", n.app, netip.AddrPortFrom(n.C.IPv6, 8080), works},
		{"out denied", n.app, netip.AddrPortFrom(n.C.IPv4, 8081), refused},
		{"out denied IPv6", n.app, netip.AddrPortFrom(n.C.IPv6, 8081), refused},
		{"another cgroup below the root", stranger, netip.AddrPortFrom(n.C.IPv4, 8080), refused},
		{"a cgroup elsewhere", outsideRoot, netip.AddrPortFrom(n.C.IPv4, 8081), works},
		{"to a host workload", n.app, netip.AddrPortFrom(node4, 8080), works},
		{"to a host workload IPv6", n.app, netip.AddrPortFrom(node6, 8080), works},
		{"to a host workload by loopback", n.app, netip.MustParseAddrPort("127.0.0.1:8080"), works},
		{"to a host workload, its ingress denies", n.app, netip.AddrPortFrom(node4, 8081), refused},
		{"to a host workload, egress denies", n.app, netip.AddrPortFrom(node4, 8082), refused},
		{"from the host", outsideRoot, netip.AddrPortFrom(node4, 8080), silent},
		{"from a proxy", n.proxy, netip.AddrPortFrom(node4, 8080), works},
		{"from a proxy IPv6", n.proxy, netip.AddrPortFrom(node6, 8080), works},
	}
	for _, a := range []netip.Addr{n.C.IPv4, n.C.IPv6} {
		for c, want := range map[*lab.Cgroup]bool{n.app: false, stranger: false, outsideRoot: true} {
			if got := (lab.Client{Host: n.Node, Cgroup: c}).Ping(t.Context(), a); (got.Exit == 0) != want {
				t.Errorf("ping %s from %s: %+v, want %t", a, c.Path, got, want)
			}
		}
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := n.leg(row.cgroup, "-", row.to); got != row.want {
				t.Errorf("%s: %s, want %s", row.to, got, row.want)
			}
		})
	}
	for _, to := range []netip.AddrPort{
		netip.AddrPortFrom(n.C.IPv4, 80), netip.AddrPortFrom(n.C.IPv6, 80),
		netip.AddrPortFrom(w2.IPv4, 8080), netip.AddrPortFrom(w2.IPv6, 8080),
	} {
		got := probe{Type: unix.SOCK_STREAM, To: to}.run(t, n.Node, n.app)
		if want := fmt.Sprintf("proxy: %s to %s", got.Local, to); got.Reply != want {
			t.Errorf("%s by the proxy: %v, want %q", to, got, want)
		}
	}
	// A device's client of a host workload is handed to the proxy too.
	for _, to := range []netip.AddrPort{netip.AddrPortFrom(node4, 8080), netip.AddrPortFrom(node6, 8080)} {
		if got, want := n.ask(w1.Host, to), fmt.Sprintf("proxy: CLIENT to %s", to); got != want {
			t.Errorf("%s from w1: %q, want %q", to, got, want)
		}
	}
	n.waitEvent("the flow of a host workload", func(e Event) bool {
		return e.Client == "app" && e.Server == "svc" && e.Verdict == Allow && e.Half == program.Egress
	})
}

// startEcho starts an echo server in a cgroup of the node.
func (n *node) startEcho(cgroup *lab.Cgroup, v4, v6 netip.Addr, ports ...uint16) {
	n.t.Helper()
	var addresses []string
	for _, p := range ports {
		addresses = append(addresses, netip.AddrPortFrom(v4, p).String(), netip.AddrPortFrom(v6, p).String())
	}
	cmd := n.Node.Command(n.t.Context(), os.Args[0], "-test.run=^TestEcho$")
	cmd.Cgroup = cgroup
	cmd.Env = append(os.Environ(), echoVariable+"="+strings.Join(addresses, " "))
	out, err := cmd.StdoutPipe()
	n.must(err)
	n.must(cmd.Start())
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		n.t.Fatalf("echo server said %q, %v", line, err)
	}
}

func serveEcho(t *testing.T, address string) {
	network := "tcp4"
	if strings.HasPrefix(address, "[") {
		network = "tcp6"
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // ends with the client
			}()
		}
	}()
}

// The DNS proxy meets a host workload's question at an alias of the resolver.
func TestOwnerOfAliasedQuestions(t *testing.T) {
	n := newNode(t, nil)
	n.apply(proxied)
	startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, nodeDNSPort)
	for _, resolver := range []netip.Addr{n.Resolver4, n.Resolver6} {
		to := netip.AddrPortFrom(resolver, 53)
		for _, send := range []bool{false, true} {
			got := probe{Type: unix.SOCK_DGRAM, To: to, Send: send}.run(t, n.Node, n.app)
			words := strings.Fields(got.Reply) // proxy: CLIENT to ALIAS
			if len(words) != 4 {
				t.Errorf("%s: %v", to, got)
				continue
			}
			client, alias := netip.MustParseAddrPort(words[1]), netip.MustParseAddrPort(words[3])
			c, ok := n.d.Owner(unix.IPPROTO_UDP, client, alias)
			if c.Client != "app" || c.Receiver != "" || c.Server != to || !ok || alias == to {
				t.Errorf("Owner(%s, %s) = %+v, %v; want app, %v", client, alias, c, ok, to)
			}
		}
	}
	if _, ok := n.d.Owner(unix.IPPROTO_UDP, netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.1:53")); ok {
		t.Error("a flow that nobody opened has an owner")
	}
}
