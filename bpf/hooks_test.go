// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

func TestTCPHooks(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	tests := []struct {
		name  string
		port  uint16
		step  string
		errno unix.Errno
		proxy bool
	}{
		{"allow", portAllow, "", 0, false},
		{"deny", portDeny, "connect", unix.EPERM, false},
		{"reject", portReject, "connect", unix.ECONNREFUSED, false},
		{"redirect", portHTTP, "", 0, true},
		{"DNS", portDNS, "", 0, true},
	}
	for _, tt := range tests {
		for family, to := range r.targets() {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				p := probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(to, tt.port)}
				got := p.run(t, r.node, r.client)
				if got.Step != tt.step || got.Errno != tt.errno {
					t.Fatalf("probe = %v, want %q %v", got, tt.step, tt.errno)
				}
				if tt.step != "" {
					return
				}
				want := question
				if tt.proxy {
					want = "proxy: " + unmapped(got.Local) + " to " + unmapped(p.To)
				}
				if got.Reply != want || got.Peer != p.To {
					t.Errorf("probe = %v, want %q from %v", got, want, p.To)
				}
			})
		}
	}
}

// targets are the outside's address in the ways that a socket can name it.
func (r *rig) targets() map[string]netip.Addr {
	return map[string]netip.Addr{
		"IPv4": rigOutside4, "IPv6": rigOutside6, "v4-mapped": netip.AddrFrom16(rigOutside4.As16()),
	}
}

func unmapped(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

// startEcho starts the outside's servers, so that what is denied has somebody to answer it.
func startEcho(t *testing.T, r *rig) {
	t.Helper()
	var addresses []netip.AddrPort
	for _, a := range []netip.Addr{rigOutside4, rigOutside6} {
		for _, port := range []uint16{portAllow, portDeny, portReject, portHTTP, portIngress, portDNS} {
			addresses = append(addresses, netip.AddrPortFrom(a, port))
		}
	}
	if _, err := r.outside.Echo(addresses...); err != nil {
		t.Fatal(err)
	}
}

func TestUDPHooks(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	tests := []struct {
		name  string
		port  uint16
		errno unix.Errno // of send; a UDP connect sends nothing and is never refused
		proxy bool
	}{
		{"allow", portAllow, 0, false},
		{"deny", portDeny, unix.EPERM, false},
		{"DNS", portDNS, 0, true},
	}
	for _, tt := range tests {
		for family, to := range r.targets() {
			for _, connected := range []bool{false, true} {
				name := tt.name + " " + family
				if connected {
					name += " connected"
				}
				t.Run(name, func(t *testing.T) {
					p := probe{Type: unix.SOCK_DGRAM, To: netip.AddrPortFrom(to, tt.port), Send: !connected}
					got := p.run(t, r.node, r.client)
					if got.Errno != tt.errno || (got.Step == "send") != (tt.errno != 0) {
						t.Fatalf("probe = %v, want %v", got, tt.errno)
					}
					if tt.errno != 0 {
						return
					}
					if got.From != p.To || (connected && got.Peer != p.To) {
						t.Errorf("probe = %v, want an answer from %v", got, p.To)
					}
					if proxied := strings.HasPrefix(got.Reply, "proxy: "); proxied != tt.proxy {
						t.Errorf("probe = %v, want one that was proxied: %v", got, tt.proxy)
					}
				})
			}
		}
	}
}

// A resolver on the node itself, which no workload is, is no exception.
func TestHooksLocalResolver(t *testing.T) {
	r := newRig(t, false)
	for _, address := range []string{"127.0.0.53", "::ffff:127.0.0.53", "::1", "198.51.100.1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(address), portDNS)
		for _, p := range []probe{
			{Type: unix.SOCK_STREAM, To: to},
			{Type: unix.SOCK_DGRAM, To: to},
			{Type: unix.SOCK_DGRAM, To: to, Send: true},
		} {
			t.Run(fmt.Sprintf("%s %s", address, p.name()), func(t *testing.T) {
				got := p.run(t, r.node, r.client)
				if !strings.HasPrefix(got.Reply, "proxy: ") || (got.Peer.IsValid() && got.Peer != to) {
					t.Errorf("probe = %v, want the proxy to take it", got)
				}
				if p.Type == unix.SOCK_DGRAM && got.From != to {
					t.Errorf("probe = %v, want an answer from %v", got, to)
				}
			})
		}
	}
}

// Both ends are host workloads of one node: the ingress half counts too.
func TestHooksTowardsHostWorkload(t *testing.T) {
	r := newRig(t, false)
	for _, port := range []uint16{portAllow, portHTTP, portIngress} {
		r.serve(t, r.server, port)
	}
	tests := []struct {
		name  string
		to    string
		port  uint16
		errno unix.Errno
		proxy bool
	}{
		{"allow", "198.51.100.1", portAllow, 0, false},
		{"allow IPv6", "2001:db8:100::1", portAllow, 0, false},
		{"allow loopback", "127.0.0.1", portAllow, 0, false},
		{"allow unspecified", "0.0.0.0", portAllow, 0, false},
		{"allow unspecified IPv6", "::", portAllow, 0, false},
		{"deny by ingress", "198.51.100.1", portIngress, unix.EPERM, false},
		{"deny by ingress IPv6", "2001:db8:100::1", portIngress, unix.EPERM, false},
		{"deny by ingress unspecified", "0.0.0.0", portIngress, unix.EPERM, false},
		{"deny by egress, nobody there", "198.51.100.1", portDeny, unix.EPERM, false},
		{"redirect", "198.51.100.1", portHTTP, 0, true},
		{"redirect IPv6", "2001:db8:100::1", portHTTP, 0, true},
		{"redirect loopback", "127.0.0.1", portHTTP, 0, true},
		{"redirect unspecified", "0.0.0.0", portHTTP, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(netip.MustParseAddr(tt.to), tt.port)}
			got := p.run(t, r.node, r.client)
			if got.Errno != tt.errno || (got.Step == "connect") != (tt.errno != 0) {
				t.Fatalf("probe = %v, want %v", got, tt.errno)
			}
			if tt.errno != 0 {
				return
			}
			want := "served"
			if tt.proxy {
				want = "proxy: " + got.Local.String() + " to " + got.Peer.String()
			}
			if got.Reply != want {
				t.Errorf("probe = %v, want %q", got, want)
			}
		})
	}
}

// A socket that is bound to a device would send past lo.
func TestHooksBoundToDevice(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	for family, to := range r.targets() {
		for _, tt := range []struct {
			name  string
			probe probe
			want  unix.Errno
		}{
			{"TCP direct", probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(to, portAllow)}, 0},
			{"TCP redirect", probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(to, portHTTP)}, unix.EPERM},
			{"DNS", probe{Type: unix.SOCK_DGRAM, To: netip.AddrPortFrom(to, portDNS), Send: true}, unix.EPERM},
			{"DNS connected", probe{Type: unix.SOCK_DGRAM, To: netip.AddrPortFrom(to, portDNS)}, unix.EPERM},
		} {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				tt.probe.Device = "uplink"
				if got := tt.probe.run(t, r.node, r.client); got.Errno != tt.want {
					t.Errorf("probe = %v, want %v", got, tt.want)
				}
			})
		}
	}
	if n := r.dropped(t, datapathDropReasonDROP_NOT_PROXIED); n == 0 {
		t.Error("no drop was counted as not proxied")
	}
}

// A redirected connection that is bound to a device afterwards ends there: no packet of it leaves.
func TestHooksBoundToDeviceLate(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	r.watch(t)
	for _, tt := range []struct {
		name   string
		kind   int
		port   uint16
		leaves bool
	}{
		{"TCP direct", unix.SOCK_STREAM, portAllow, true},
		{"TCP redirect", unix.SOCK_STREAM, portHTTP, false},
		{"UDP direct", unix.SOCK_DGRAM, portAllow, true},
		{"DNS", unix.SOCK_DGRAM, portDNS, false},
	} {
		for family, to := range r.targets() {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				before := r.came(t)
				p := probe{Type: tt.kind, To: netip.AddrPortFrom(to, tt.port), Device: "uplink", Late: true}
				if got := p.run(t, r.node, r.client); (got.Step == "") != tt.leaves {
					t.Errorf("probe = %v, want an answer: %v", got, tt.leaves)
				}
				if n := r.came(t) - before; (n > 0) != tt.leaves {
					t.Errorf("%d packets left through the uplink, want some: %v", n, tt.leaves)
				}
			})
		}
	}
}

// watch makes the outside count the TCP and UDP packets that come to it.
func (r *rig) watch(t *testing.T) {
	t.Helper()
	r.nft(t, r.outside, `table inet watch {
		counter came {}
		chain in {
			type filter hook prerouting priority -400
			iifname "eth0" meta l4proto { tcp, udp } counter name came
		}
	}`, "-f", "-")
}

// came is the number of packets that watch has counted.
func (r *rig) came(t *testing.T) (n int) {
	t.Helper()
	text := r.nft(t, r.outside, "", "list", "counter", "inet", "watch", "came")
	_, text, _ = strings.Cut(text, "packets ")
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatalf("counter %q: %v", text, err)
	}
	return n
}

func (r *rig) nft(t *testing.T, h *lab.Host, input string, args ...string) string {
	t.Helper()
	cmd := h.Command(t.Context(), "nft", args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	return string(out)
}

func TestHooksUnknownCgroup(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	p := probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(rigOutside4, portAllow)}
	below, err := r.client.Sub("below/deeper")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		in   *lab.Cgroup
		want unix.Errno
	}{
		{"workload", r.client, 0},
		{"below a workload", below, 0},
		{"unknown", r.nobody, unix.EPERM},
		{"root", r.root, unix.EPERM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := r.dropped(t, datapathDropReasonDROP_UNKNOWN_WORKLOAD)
			if got := p.run(t, r.node, tt.in); got.Errno != tt.want {
				t.Errorf("probe = %v, want %v", got, tt.want)
			}
			if n := r.dropped(t, datapathDropReasonDROP_UNKNOWN_WORKLOAD) - before; (n > 0) != (tt.want != 0) {
				t.Errorf("%d drops were counted", n)
			}
		})
	}
}

// The same process in another network namespace is not the node's.
func TestHooksOtherNamespace(t *testing.T) {
	r := newRig(t, false)
	if _, err := r.node.Echo(netip.AddrPortFrom(rigNode4, portDeny)); err != nil {
		t.Fatal(err)
	}
	p := probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(rigNode4, portDeny)}
	if got := p.run(t, r.node, r.client); got.Errno != unix.EPERM {
		t.Errorf("probe of the node = %v, want %v", got, unix.EPERM)
	}
	for _, in := range []*lab.Cgroup{r.client, r.nobody} {
		if got := p.run(t, r.outside, in); got.Reply != question {
			t.Errorf("probe from another namespace = %v, want %q", got, question)
		}
	}
}

// A denied connect is reported and counted like any denial.
func TestHooksReport(t *testing.T) {
	for _, reject := range []bool{false, true} {
		r := newRig(t, reject)
		want := unix.EPERM
		if reject {
			want = unix.ECONNREFUSED
		}
		before := r.dropped(t, datapathDropReasonDROP_POLICY)
		p := probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(rigOutside6, portDeny)}
		if got := p.run(t, r.node, r.client); got.Errno != want {
			t.Errorf("reject %v: probe = %v, want %v", reject, got, want)
		}
		if n := r.dropped(t, datapathDropReasonDROP_POLICY) - before; n != 1 {
			t.Errorf("%d drops, want 1", n)
		}
		e := r.event(t)
		got := datapathEvent{
			Generation: e.Generation, Client: e.Client, Rule: e.Rule, Dst: e.Dst, Dport: e.Dport,
			Proto: e.Proto, Verdict: e.Verdict, Half: e.Half, Reason: e.Reason, Hook: e.Hook,
		}
		wantEvent := datapathEvent{
			Generation: 1, Client: rigClient, Rule: 1000 + portDeny, Dst: addr16(rigOutside6), Dport: portDeny,
			Proto: unix.IPPROTO_TCP, Reason: uint8(datapathDropReasonDROP_POLICY), Hook: uint8(datapathHookHOOK_CONNECT),
		}
		if got != wantEvent {
			t.Errorf("event %+v, want %+v", got, wantEvent)
		}
	}
}

// serve starts a server in a cgroup on both families that says "served" to whoever asks.
func (r *rig) serve(t *testing.T, in *lab.Cgroup, port uint16) {
	t.Helper()
	startServer(t, r.node, in, "served", 0, port)
}

// What a process can do to its socket does not change the verdict.
func TestHooksOfPreparedSockets(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	marks := testSteering().Marks
	const stream, datagram = unix.SOCK_STREAM, unix.SOCK_DGRAM
	to := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(rigOutside6, port) }
	tests := []struct {
		name  string
		in    *lab.Cgroup
		probe probe
		errno unix.Errno
		reply string // its beginning
	}{
		{"upstream mark, deny", r.client, probe{Mark: int(marks.Upstream), Type: stream, To: to(portDeny)}, unix.EPERM, ""},
		{"loop mark, deny", r.client, probe{Mark: int(marks.Loop), Type: stream, To: to(portDeny)}, unix.EPERM, ""},
		{"upstream mark, redirect", r.client, probe{Mark: int(marks.Upstream), Type: stream, To: to(portHTTP)}, 0, "proxy: "},
		{"loop mark, allow", r.client, probe{Mark: int(marks.Loop), Type: stream, To: to(portAllow)}, 0, question},
		{
			"bound source, redirect", r.client,
			probe{Source: netip.AddrPortFrom(rigNode6, 0), Type: stream, To: to(portHTTP)},
			0, "proxy: [2001:db8:100::1]:",
		},
		{
			"bound source, DNS", r.client,
			probe{Source: netip.AddrPortFrom(rigNode6, 0), Type: datagram, Send: true, To: to(portDNS)},
			0, "proxy: [2001:db8:100::1]:",
		},
		{"redirect, then allow", r.client, probe{Before: to(portHTTP), Type: stream, To: to(portAllow)}, 0, question},
		{"allow, then redirect", r.client, probe{Before: to(portAllow), Type: stream, To: to(portHTTP)}, 0, "proxy: "},
		{"DNS, then allow", r.client, probe{Before: to(portDNS), Type: datagram, To: to(portAllow)}, 0, question},
		{"allow, then DNS", r.client, probe{Before: to(portAllow), Type: datagram, To: to(portDNS)}, 0, "proxy: "},
		{"made in an unknown cgroup", r.nobody, probe{Move: r.client.Path, Type: stream, To: to(portAllow)}, unix.EPERM, ""},
		{"made in a workload", r.client, probe{Move: r.nobody.Path, Type: stream, To: to(portAllow)}, 0, question},
		{"Fast Open, allow", r.client, probe{Send: true, Type: stream, To: to(portAllow)}, 0, question},
		{"Fast Open, deny", r.client, probe{Send: true, Type: stream, To: to(portDeny)}, unix.EPERM, ""},
		{"Fast Open, redirect", r.client, probe{Send: true, Type: stream, To: to(portHTTP)}, 0, "proxy: "},
		{"Multipath, allow", r.client, probe{Proto: unix.IPPROTO_MPTCP, Type: stream, To: to(portAllow)}, 0, question},
		{"Multipath, deny", r.client, probe{Proto: unix.IPPROTO_MPTCP, Type: stream, To: to(portDeny)}, unix.EPERM, ""},
		{"Multipath, redirect", r.client, probe{Proto: unix.IPPROTO_MPTCP, Type: stream, To: to(portHTTP)}, 0, "proxy: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.probe.run(t, r.node, tt.in)
			if got.Errno != tt.errno || !strings.HasPrefix(got.Reply, tt.reply) {
				t.Errorf("probe = %v, want %v and %q", got, tt.errno, tt.reply)
			}
		})
	}
}

// Where every alias is taken, a resolver that has none is refused; the others go on.
func TestHooksWithoutAlias(t *testing.T) {
	r := newRig(t, false)
	ask := func(resolver netip.Addr) outcome {
		p := probe{Type: unix.SOCK_DGRAM, Send: true, To: netip.AddrPortFrom(resolver, portDNS)}
		return p.run(t, r.node, r.client)
	}
	if got := ask(rigOutside4); got.Step != "" {
		t.Fatalf("probe = %v", got)
	}
	var err error
	for i := 0; err == nil; i++ {
		key := addr16(netip.MustParseAddr("::"))
		binary.BigEndian.PutUint32(key.Byte[12:], uint32(i))
		err = r.objects.Aliases.Put(key, key)
	}
	if !errors.Is(err, unix.E2BIG) {
		t.Fatal(err)
	}
	before := r.dropped(t, datapathDropReasonDROP_NO_ENTRY)
	if got := ask(rigOutside6); got.Step != "send" || got.Errno != unix.EPERM {
		t.Errorf("probe without an alias = %v, want %v", got, unix.EPERM)
	}
	if n := r.dropped(t, datapathDropReasonDROP_NO_ENTRY) - before; n != 1 {
		t.Errorf("%d drops, want 1", n)
	}
	if got := ask(rigOutside4); got.Step != "" {
		t.Errorf("probe with an alias = %v", got)
	}
}

// A proxy is reached by redirection alone: it would take its own address for the server's.
func TestHooksDenyProxyItself(t *testing.T) {
	r := newRig(t, false)
	loopback := netip.MustParseAddr("127.0.0.1")
	if _, err := r.node.Echo(netip.AddrPortFrom(loopback, portAllow)); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[uint16]unix.Errno{portAllow: 0, rigHTTPListener: unix.EPERM} {
		p := probe{Type: unix.SOCK_STREAM, To: netip.AddrPortFrom(loopback, port)}
		if got := p.run(t, r.node, r.client); got.Errno != want {
			t.Errorf("probe of port %d = %v, want %v", port, got, want)
		}
	}
}

// Redirected flows pass by connection tracking, also where a firewall tracks everything else.
func TestSteeringUntracked(t *testing.T) {
	r := newRig(t, false)
	startEcho(t, r)
	const firewall = `table inet firewall {
		chain post { type nat hook postrouting priority 100; oifname "uplink" masquerade; }
		chain in { type filter hook input priority 0; ct state invalid drop; }
		chain out { type filter hook output priority 0; ct state invalid drop; }
	}`
	r.nft(t, r.node, firewall, "-f", "-")
	for _, tt := range []struct {
		name    string
		port    uint16
		kind    int
		tracked bool
	}{
		{"redirect", portHTTP, unix.SOCK_STREAM, false},
		{"DNS by UDP", portDNS, unix.SOCK_DGRAM, false},
		{"DNS by TCP", portDNS, unix.SOCK_STREAM, false},
		{"direct", portAllow, unix.SOCK_STREAM, true},
	} {
		for family, to := range r.targets() {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				before := r.tracked(t)
				p := probe{Type: tt.kind, Send: tt.kind == unix.SOCK_DGRAM, To: netip.AddrPortFrom(to, tt.port)}
				if got := p.run(t, r.node, r.client); got.Step != "" {
					t.Errorf("probe = %v", got)
				}
				if n := r.tracked(t) - before; (n > 0) != tt.tracked {
					t.Errorf("%d flows are tracked, want some: %v", n, tt.tracked)
				}
			})
		}
	}
}

// tracked is the number of flows that the node's connection tracking knows.
func (r *rig) tracked(t *testing.T) (n int) {
	t.Helper()
	err := r.node.Do(func() error {
		text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		if err != nil {
			return err
		}
		n, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
