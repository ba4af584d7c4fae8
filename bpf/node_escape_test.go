// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

// What a workload, an outside host or a host process may try to get around its policy.

// A host workload is judged also at an address of the node that nobody told us of.
func TestHostWorkloadsAtUnknownAddresses(t *testing.T) {
	n := newNode(t, nil)
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, 8080, 8081)
	n.startEcho(n.svc, netip.IPv4Unspecified(), netip.IPv6Unspecified(), 8080)
	n.apply(strings.Replace(proxied, "plain: allow to world on tcp/8080", "plain: allow to world on tcp/8080, udp/8080", 1))
	elsewhere, err := n.Cgroup.Sub("elsewhere")
	n.must(err)
	for site, fresh := range map[netip.Addr]netip.Prefix{
		n.C.IPv4: netip.MustParsePrefix("203.0.113.77/24"), n.C.IPv6: netip.MustParsePrefix("2001:db8:ff::77/64"),
	} {
		n.must(n.Node.AddAddresses(n.Uplink, fresh))
		from := fresh.Addr().String()
		for port, want := range map[uint16]string{8080: works, 8081: refused} {
			if got := n.leg(n.app, from, netip.AddrPortFrom(site, port)); got != want {
				t.Errorf("from %s to %s port %d: %s, want %s", from, site, port, got, want)
			}
		}
		for port, want := range map[uint16]string{8080: question, 8081: ""} {
			p := probe{Type: unix.SOCK_DGRAM, Source: netip.AddrPortFrom(fresh.Addr(), 0), To: netip.AddrPortFrom(site, port)}
			if got := p.run(t, n.Node, n.app); got.Reply != want {
				t.Errorf("UDP from %s to %s port %d: %v, want %q", from, site, port, got, want)
			}
		}
		for who, from := range map[string]*lab.Host{"the outside": n.Outside, "a device": n.Workloads[2].Host} {
			if got := n.try(from, "tcp", netip.AddrPortFrom(fresh.Addr(), 8080)); got == works {
				t.Errorf("%s at %s: %s", who, fresh, got)
			}
		}
		if got := n.leg(elsewhere, "-", netip.AddrPortFrom(fresh.Addr(), 8080)); got == works {
			t.Errorf("the host at %s: %s", fresh, got)
		}
	}
	// IPv6 lets anybody bind an address that is not the node's.
	for from, reason := range map[netip.Addr]string{n.Workloads[0].IPv6: "spoofed source", netip.MustParseAddr("2001:db8:100::9"): "policy"} {
		to := netip.AddrPortFrom(n.C.IPv6, 8081)
		probe{Type: unix.SOCK_DGRAM, Source: netip.AddrPortFrom(from, 0), Free: true, To: to}.run(t, n.Node, n.app)
		n.waitEvent("the denial of "+from.String(), func(e Event) bool {
			return e.Source.Addr() == from && e.Hook == "socket out" && e.Reason.String() == reason
		})
	}
}

// An alias of a resolver is its door to the proxy and to nothing else.
func TestAliasesLeadToTheProxyAlone(t *testing.T) {
	n := newNode(t, nil)
	n.startEcho(n.svc, netip.IPv4Unspecified(), netip.IPv6Unspecified(), 8080)
	n.apply(proxied)
	startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, nodeDNSPort)
	elsewhere, err := n.Cgroup.Sub("elsewhere")
	n.must(err)
	for _, resolver := range []netip.Addr{n.Resolver4, n.Resolver6} {
		got := probe{Type: unix.SOCK_DGRAM, To: netip.AddrPortFrom(resolver, 53), Send: true}.run(t, n.Node, n.app)
		var client, alias string
		if _, err := fmt.Sscanf(got.Reply, "proxy: %s to %s", &client, &alias); err != nil {
			t.Fatalf("%s: %v", resolver, got)
		}
		// app may speak with the world, so with the resolver, on this port; svc is not the world.
		to := netip.AddrPortFrom(netip.MustParseAddrPort(alias).Addr(), 8080)
		for who, cgroup := range map[string]*lab.Cgroup{"app": n.app, "the host": elsewhere} {
			if got := n.leg(cgroup, "-", to); got == works {
				t.Errorf("%s at svc by %s: %s", who, to, got)
			}
		}
	}
}

// sendRaw sends a packet of a protocol from a host, without a transport header of the kernel's.
func sendRaw(h *lab.Host, proto int, to netip.Addr, hops int, payload []byte) error {
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL
	if to.Is6() {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	return h.Do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return errors.Join(
			unix.SetsockoptInt(fd, level, option, hops),
			unix.Sendto(fd, payload, 0, sockaddr(netip.AddrPortFrom(to, 0))))
	})
}

// receiveRaw sends and reports whether the packet comes out at the other end.
func receiveRaw(from, at *lab.Host, proto int, to netip.Addr, hops int, payload []byte) (came bool, err error) {
	family := unix.AF_INET
	if to.Is6() {
		family = unix.AF_INET6
	}
	err = at.Do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		limit := unix.NsecToTimeval(int64(nodeSilence))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return err
		}
		if err := sendRaw(from, proto, to, hops, payload); err != nil {
			return err
		}
		buffer := make([]byte, 2048)
		for {
			size, _, err := unix.Recvfrom(fd, buffer, 0)
			if errors.Is(err, unix.EAGAIN) {
				return nil
			}
			if err != nil {
				return err
			}
			// The kernel writes the checksum of ICMPv6.
			if tail := payload[4:]; string(buffer[max(0, size-len(tail)):size]) == string(tail) {
				came = true
				return nil
			}
		}
	})
	return came, err
}

// Messages that only keep a link going pass without a verdict, so they may not leave the link.
func TestLinkMessagesStayOnTheLink(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	rows := []struct {
		name  string
		proto int
		to    netip.Addr
		at    *lab.Host
		kind  byte
	}{
		{"IGMP to outside", unix.IPPROTO_IGMP, n.C.IPv4, n.Outside, 0x16},
		{"IGMP to another workload", unix.IPPROTO_IGMP, w2.IPv4, w2.Host, 0x16},
		{"a neighbour's advertisement to outside", unix.IPPROTO_ICMPV6, n.C.IPv6, n.Outside, 136},
		{"a redirect to outside", unix.IPPROTO_ICMPV6, n.C.IPv6, n.Outside, 137},
		{"a neighbour's advertisement to another workload", unix.IPPROTO_ICMPV6, w2.IPv6, w2.Host, 136},
	}
	for i, when := range []string{"without a policy", "denied"} {
		if i == 1 {
			n.apply(two)
		}
		for _, row := range rows {
			payload := append([]byte{row.kind, 0, 0, 0, 0, 0, 0, 0}, "smuggled"...)
			if row.proto == unix.IPPROTO_ICMPV6 {
				payload = append(payload, make([]byte, 32)...)
			}
			came, err := receiveRaw(w1.Host, row.at, row.proto, row.to, 255, payload)
			n.must(err)
			if came != (i == 0) {
				t.Errorf("%s, %s: it came: %t", row.name, when, came)
			}
		}
	}
}

// Pieces of a packet are judged where they are put together, but whose they claim to be is known
// at the uplink.
func TestSpoofedFragments(t *testing.T) {
	n := newNode(t, nil)
	w1 := n.Workloads[0]
	n.apply(`
default deny
policy w1 for w1 { egress { svc: allow to svc on udp/9000 } }
policy svc for svc { ingress { w1: allow from w1, n on udp/9000 } }
cidrs n = 203.0.113.2/32, 2001:db8:ff::2/128
`)
	for _, a := range [][3]netip.Addr{
		{w1.IPv4, n.NodeAddresses[0], netip.MustParseAddr("203.0.113.2")},
		{w1.IPv6, n.NodeAddresses[1], netip.MustParseAddr("2001:db8:ff::2")},
	} {
		got := n.startSink(n.svc, netip.AddrPortFrom(a[1], 9000))
		send := func(h *lab.Host, from netip.Addr, size int) {
			t.Helper()
			n.must(h.Do(func() error {
				conn, err := net.DialUDP("udp", &net.UDPAddr{IP: from.AsSlice()}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a[1], 9000)))
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = conn.Write(make([]byte, size))
				return err
			}))
		}
		n.must(n.Outside.AddAddresses("lo", netip.PrefixFrom(a[0], a[0].BitLen())))
		send(n.Outside, a[0], 3000)
		send(n.Outside, a[0], 101)
		send(n.Outside, a[2], 3002)
		send(w1.Host, a[0], 103)
		for _, want := range []string{"3002", "103"} {
			select {
			case line := <-got:
				if line != want {
					t.Errorf("from %s: %s bytes came, want %s", a[0], line, want)
				}
			case <-time.After(nodePatience):
				t.Fatalf("the %s bytes did not come", want)
			}
		}
	}
}

const sinkVariable = "MPOL_TEST_SINK"

// TestSink is the process of startSink; without the variable it has nothing to do.
func TestSink(t *testing.T) {
	address := os.Getenv(sinkVariable)
	if address == "" {
		return
	}
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	buffer := make([]byte, 65536)
	for {
		size, _, err := packets.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(size)
	}
}

// startSink starts a UDP server in a cgroup that says the size of each datagram.
func (n *node) startSink(cgroup *lab.Cgroup, at netip.AddrPort) <-chan string {
	n.t.Helper()
	cmd := n.Node.Command(n.t.Context(), os.Args[0], "-test.run=^TestSink$")
	cmd.Cgroup = cgroup
	cmd.Env = append(os.Environ(), sinkVariable+"="+at.String())
	out, err := cmd.StdoutPipe()
	n.must(err)
	n.must(cmd.Start())
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	if line := <-lines; line != "ready" {
		n.t.Fatalf("sink said %q", line)
	}
	return lines
}

// The cgroup that the kernel's own packets have is also one that a process may live in.
func TestRootCgroupIsNoProxy(t *testing.T) {
	n := newNode(t, nil)
	w2 := n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080, 8081)
	n.apply(`
default deny
policy w2 for w2 { ingress { get: allow from host on tcp/8080 http { GET "/" }  raw: allow from host on tcp/8081 } }
`)
	mount := &lab.Cgroup{Path: filepath.Dir(n.Cgroup.Path)}
	for _, a := range []netip.Addr{w2.IPv4, w2.IPv6} {
		if got := n.leg(mount, "-", netip.AddrPortFrom(a, 8081)); got != works {
			t.Errorf("%s, what needs no proxy: %s", a, got)
		}
		if got := n.leg(mount, "-", netip.AddrPortFrom(a, 8080)); got == works {
			t.Errorf("%s, past the proxy: %s", a, got)
		}
	}
}

// A device that is made anew under a governed name carries no program, and nothing passes it until
// a generation knows it.
func TestDevicesMadeAnew(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, 8080, 8081)
	policy := `
default deny
policy plain for (app in ["w1", "w2"]) { egress { plain: allow to world on tcp/8080 } }
`
	n.apply(policy)
	try := func(when string, want8080, want8081 string) {
		t.Helper()
		for _, a := range []netip.Addr{n.C.IPv4, n.C.IPv6} {
			for port, want := range map[uint16]string{8080: want8080, 8081: want8081} {
				if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(a, port)); got != want {
					t.Errorf("%s, %s port %d: %s, want %s", when, a, port, got, want)
				}
			}
		}
	}
	try("before", works, refused)
	n.must(n.Node.RemoveDevice(w1.Device))
	near4, near6 := netip.MustParsePrefix("10.77.1.1/24"), netip.MustParsePrefix("fd77:0:0:1::1/64")
	n.must(n.Link(
		lab.End{Host: n.Node, Device: w1.Device, Addresses: []netip.Prefix{near4, near6}},
		lab.End{Host: w1.Host, Device: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(w1.IPv4, 24), netip.PrefixFrom(w1.IPv6, 64)}}))
	n.must(w1.AddRoute(netip.PrefixFrom(netip.IPv4Unspecified(), 0), near4.Addr()))
	n.must(w1.AddRoute(netip.PrefixFrom(netip.IPv6Unspecified(), 0), near6.Addr()))
	for _, a := range []netip.Addr{n.C.IPv4, n.C.IPv6} {
		if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(a, 8080)); got == works {
			t.Errorf("made anew, %s: %s", a, got)
		}
		if got := n.try(w2.Host, "tcp", netip.AddrPortFrom(a, 8080)); got != works {
			t.Errorf("the device beside it, %s: %s", a, got)
		}
	}
	n.apply(policy)
	try("known again", works, refused)
}

// An ICMP error of a flow that leads to the proxy ends at the proxy: its payload is the client's.
func TestErrorsOfRedirectedFlows(t *testing.T) {
	n := newNode(t, nil)
	w1 := n.Workloads[0]
	smuggle := func(port int) bool {
		t.Helper()
		// About a segment from C port 80 to w1.
		payload := make([]byte, 8+20+8, 64)
		payload[0], payload[1] = 3, 3
		about := payload[8:]
		about[0], about[8], about[9] = 0x45, 64, unix.IPPROTO_TCP
		from, to := n.C.IPv4.As4(), w1.IPv4.As4()
		copy(about[12:], from[:])
		copy(about[16:], to[:])
		about[21], about[22], about[23] = 80, byte(port>>8), byte(port)
		came, err := receiveRaw(w1.Host, n.Outside, unix.IPPROTO_ICMP, n.C.IPv4, 64, append(payload, "smuggled"...))
		n.must(err)
		return came
	}
	if !smuggle(1) {
		t.Error("without a policy the error does not come")
	}
	n.apply(proxied)
	startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, nodeL7Port)
	conn, err := w1.Dial(t.Context(), "tcp", netip.AddrPortFrom(n.C.IPv4, 80))
	n.must(err)
	defer conn.Close()
	if smuggle(conn.LocalAddr().(*net.TCPAddr).Port) {
		t.Error("the server got an error of the proxy's connection")
	}
}
