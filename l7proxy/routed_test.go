// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mpol/compiler/program"
	"mpol/e2e/lab"
)

// TestRouted lets this namespace be the node between a client's and a server's host: the server
// sees the client's own address, and its replies come back to the proxy's socket.
func TestRouted(t *testing.T) {
	p := newProxy(t)
	one := publicOnly("k")
	one.Local = true
	p.apply("1", []program.Profile{one})
	port, _ := p.Port("k")

	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	client, server := routedHost(t, l, "client", 1), routedHost(t, l, "server", 2)
	t.Cleanup(func() {
		run(t, "nft delete table inet l7routed", "ip -4 rule del lookup 100", "ip -6 rule del lookup 100")
	})
	run(t,
		"nft add table inet l7routed",
		"nft add chain inet l7routed prerouting { type filter hook prerouting priority mangle ; }",
		"nft add rule inet l7routed prerouting iifname l7server socket transparent 1 meta mark set 0x77 accept",
	)
	for _, f := range []struct{ option, protocol, word, listener string }{
		{"-4", "ipv4", "ip", "127.0.0.1"}, {"-6", "ipv6", "ip6", "[::1]"},
	} {
		run(t,
			"ip "+f.option+" rule add fwmark 0x77 lookup 100",
			"ip "+f.option+" route replace local default dev lo table 100",
			fmt.Sprintf("nft add rule inet l7routed prerouting iifname l7client meta nfproto %s meta l4proto tcp "+
				"tproxy %s to %s:%d meta mark set 0x77 accept", f.protocol, f.word, f.listener, port))
	}
	for _, setting := range []string{"ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1", "ipv4/conf/all/rp_filter=0"} {
		setting, value, _ := strings.Cut(setting, "=")
		if err := os.WriteFile("/proc/sys/net/"+setting, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}

	for _, network := range []string{"10.77.%d.2", "fd77:%d::2"} {
		from, to := fmt.Sprintf(network, 1), fmt.Sprintf(network, 2)
		var address netip.AddrPort
		if err := server.Do(func() error { address = origin(t, to); return nil }); err != nil {
			t.Fatal(err)
		}
		var conn net.Conn
		err := client.Do(func() (err error) {
			conn, err = net.DialTimeout("tcp", address.String(), 5*time.Second)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		reader := bufio.NewReader(conn)
		got, err := exchange(conn, reader, get("/public/x", "good"))
		if peer := got.Header.Get("X-Peer"); err != nil || got.Code != 200 || peer != from {
			t.Errorf("GET /public/x = %d, %v, seen from %q, want 200 from %s", got.Code, err, peer, from)
		}
		if got, err := exchange(conn, reader, get("/admin", "good")); err != nil || got.Code != 403 {
			t.Errorf("GET /admin = %d, %v, want 403", got.Code, err)
		}
		r := p.reported(func(r Request) bool { return r.Server == address && r.Denied })
		if r.Client.String() != conn.LocalAddr().String() {
			t.Errorf("reported client %s, want %s", r.Client, conn.LocalAddr())
		}
	}
}

// routedHost makes a host whose default routes lead here through the device "l7NAME".
func routedHost(t *testing.T, l *lab.Lab, name string, number int) *lab.Host {
	t.Helper()
	host, err := l.Host(lab.HostConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	device, inside := "l7"+name, "ip -n "+host.Namespace+" "
	run(t,
		"ip link add "+device+" type veth peer name eth0 netns "+host.Namespace,
		"ip link set "+device+" up",
	)
	t.Cleanup(func() { run(t, "ip link del "+device) })
	run(t,
		fmt.Sprintf("ip addr add 10.77.%d.1/24 dev %s", number, device),
		fmt.Sprintf("ip addr add fd77:%d::1/64 dev %s nodad", number, device),
		inside+"link set eth0 up",
		inside+fmt.Sprintf("addr add 10.77.%d.2/24 dev eth0", number),
		inside+fmt.Sprintf("addr add fd77:%d::2/64 dev eth0 nodad", number),
		inside+fmt.Sprintf("route add default via 10.77.%d.1", number),
		inside+fmt.Sprintf("route add default via fd77:%d::1", number),
	)
	return host
}

func run(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		args := strings.Fields(command)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
}
