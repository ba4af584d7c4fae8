// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

const oneWay = `
default deny
policy w1 for w1 { egress { go: allow to w2 on tcp/8080, udp/8080, udp/8090, icmp/8, icmpv6/128 } }
policy w2 for w2 { ingress { go: allow from w1 on tcp/8080, udp/8080, udp/8090, icmp/8, icmpv6/128 } }
policy app for app { egress { go: allow to world on udp/8080 } }
policy svc for svc { egress { go: allow to world on udp/8081 } }
`

// What comes back belongs to the flow; what asks for a flow of its own does not, even where its
// ends are those of a live one.
func TestRepliesAreNoWayIn(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Reject = false })
	n.apply(oneWay)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	const pass, drop = -1, 2
	for _, ends := range [][2]netip.Addr{{w1.IPv4, w2.IPv4}, {w1.IPv6, w2.IPv6}} {
		echo, ask, answer := uint8(program.ProtoICMP), uint16(8<<8), uint16(0)
		if ends[0].Is6() {
			echo, ask, answer = program.ProtoICMPv6, 128<<8, 129<<8
		}
		there := func(proto uint8, sport, port uint16) []byte { return frame(ends[0], ends[1], proto, sport, port) }
		back := func(proto uint8, sport, port uint16) []byte { return frame(ends[1], ends[0], proto, sport, port) }
		flags := func(packet []byte, tcp byte) []byte { return with(packet, map[int]byte{len(packet) - 32 + 13: tcp}) }
		rows := []struct {
			name   string
			device string
			packet []byte
			want   int32
		}{
			{"udp out of nowhere", w2.Device, back(program.ProtoUDP, 8080, 1000), drop},
			{"udp", w1.Device, there(program.ProtoUDP, 1000, 8080), pass},
			{"udp reply", w2.Device, back(program.ProtoUDP, 8080, 1000), pass},
			{"udp from another port", w2.Device, back(program.ProtoUDP, 8081, 1000), drop},
			{"syn back before", w2.Device, back(program.ProtoTCP, 8080, 1000), drop},
			{"syn", w1.Device, there(program.ProtoTCP, 1000, 8080), pass},
			{"syn-ack", w2.Device, flags(back(program.ProtoTCP, 8080, 1000), 0x12), pass},
			{"syn back", w2.Device, back(program.ProtoTCP, 8080, 1000), drop},
			{"ack afterwards", w1.Device, flags(there(program.ProtoTCP, 1000, 8080), 0x10), pass},
			{"echo reply out of nowhere", w2.Device, back(echo, 0x0800, answer), drop},
			{"echo", w1.Device, there(echo, 0x0800, ask), pass},
			{"echo reply", w2.Device, back(echo, 0x0800, answer), pass},
			{"echo back with the same number", w2.Device, back(echo, 0x0800, ask), drop},
			{"echo reply of another number", w2.Device, back(echo, 0x0801, answer), drop},
		}
		for _, row := range rows {
			program := n.d.objs.FromWorkload
			if got := n.run(program, row.device, row.packet, 1); got != row.want {
				t.Errorf("%s, %s: returns %d, want %d", ends[0], row.name, got, row.want)
			}
		}
	}
}

// A port that nobody listens at is told by ICMP, which belongs to the flow.
func TestErrorsBelongToTheirFlow(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Reject = false })
	n.apply(oneWay)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	for _, a := range []netip.Addr{w2.IPv4, w2.IPv6} {
		if got := n.try(w1.Host, "udp", netip.AddrPortFrom(a, 8090)); got != refused {
			t.Errorf("%s, a closed port: %s, want %s", a, got, refused)
		}
		if got := n.try(w1.Host, "udp", netip.AddrPortFrom(a, 8091)); got != silent {
			t.Errorf("%s, a denied port: %s, want silence", a, got)
		}
	}
}

// unreachable builds an ICMP error about a packet of a frame.
func unreachable(src, dst netip.Addr, about []byte) []byte {
	packet := about[14:]
	if src.Is4() {
		return append(frame(src, dst, program.ProtoICMP, 0, 3<<8|3)[:14+20+8], packet...)
	}
	out := append(frame(src, dst, program.ProtoICMPv6, 0, 1<<8|4)[:14+40+8], packet...)
	return with(out, map[int]byte{19: byte(8 + len(packet))})
}

func TestErrorsOfOthers(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Reject = false })
	n.apply(oneWay)
	w1, w2, w3 := n.Workloads[0], n.Workloads[1], n.Workloads[2]
	for _, a := range [][3]netip.Addr{{w1.IPv4, w2.IPv4, w3.IPv4}, {w1.IPv6, w2.IPv6, w3.IPv6}} {
		live := frame(a[0], a[1], program.ProtoUDP, 1000, 8080)
		rows := []struct {
			name   string
			packet []byte
			want   int32
		}{
			{"no flow", unreachable(a[1], a[0], frame(a[0], a[1], program.ProtoUDP, 1001, 8080)), 2},
			{"a live flow", unreachable(a[1], a[0], live), -1},
			{"a live flow, to another", unreachable(a[1], a[2], live), 2},
			{"a live flow, from the address of another", unreachable(a[2], a[0], live), 2},
		}
		if got := n.run(n.d.objs.FromWorkload, w1.Device, live, 1); got != -1 {
			t.Fatalf("%s: the flow itself: returns %d", a[0], got)
		}
		for _, row := range rows {
			if got := n.run(n.d.objs.FromWorkload, w2.Device, row.packet, 1); got != row.want {
				t.Errorf("%s, an error about %s: returns %d, want %d", a[0], row.name, got, row.want)
			}
		}
	}
}

// A connection whose entry was evicted makes one again, whoever speaks first.
func TestEvictedFlows(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4}, 8080)
	n.apply(oneWay)
	conn := n.dial(w1.Host, netip.AddrPortFrom(w2.IPv4, 8080))
	forget := func() {
		flows, err := openMirror[datapathFlowKey, datapathFlow](datapathMapFlows, n.d.objs.Flows)
		n.must(errors.Join(err, keepOnly(flows, map[datapathFlowKey]bool{})))
	}
	forget()
	if got := exchange(conn); got != works {
		t.Errorf("the client speaks first: %s", got)
	}
	forget()
	ack := frame(w2.IPv4, w1.IPv4, program.ProtoTCP, 8080, 1000)
	if got := n.run(n.d.objs.FromWorkload, w2.Device, with(ack, map[int]byte{len(ack) - 32 + 13: 0x10}), 1); got != -1 {
		t.Errorf("the server speaks first: returns %d, want that it passes", got)
	}
	if got := n.run(n.d.objs.FromWorkload, w2.Device, ack, 1); got == -1 {
		t.Error("the server opens a connection")
	}
}

// An end of which no row says who it is is no stranger: it is denied where strangers are allowed.
func TestNobodyIsNoStranger(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Reject = false })
	n.apply("default deny\npolicy w1 for w1 { egress { go: allow to any on udp/8080 } }\n")
	w1 := n.Workloads[0]
	send := func(src, dst netip.Addr, sport uint16) int32 {
		return n.run(n.d.objs.FromWorkload, w1.Device, frame(src, dst, program.ProtoUDP, sport, 8080), 1)
	}
	ends := [][2]netip.Addr{{w1.IPv4, n.C.IPv4}, {w1.IPv6, n.C.IPv6}}
	for _, e := range ends {
		if got := send(e[0], e[1], 1000); got != -1 {
			t.Errorf("a stranger at %s: returns %d, want that it passes", e[1], got)
		}
	}
	n.must(keepOnly(n.d.state.prefixes, map[datapathPrefix]bool{}))
	for _, e := range ends {
		if got := send(e[0], e[1], 1001); got != 2 {
			t.Errorf("nobody at %s: returns %d, want that it is dropped", e[1], got)
		}
		n.waitEvent("a missing entry", func(e Event) bool { return e.Reason == DropReason(datapathDropReasonDROP_MISSING) })
	}
}

// A port that changes hands does not take its flow along.
func TestFlowsBelongToTheirWorkload(t *testing.T) {
	n := newNode(t, nil)
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, 8080)
	n.apply(oneWay)
	for _, a := range []netip.Addr{n.C.IPv4, n.C.IPv6} {
		own := netip.AddrPortFrom(n.NodeAddresses[0], 5555)
		if a.Is6() {
			own = netip.AddrPortFrom(n.NodeAddresses[1], 5555)
		}
		use := probe{Type: unix.SOCK_DGRAM, Source: own, To: netip.AddrPortFrom(a, 8080)}
		for range 2 {
			if got := use.run(t, n.Node, n.app); got.Reply == "" {
				t.Errorf("%s from app: %v, want an answer", a, got)
			}
			if got := use.run(t, n.Node, n.svc); got.Reply != "" {
				t.Errorf("%s from svc at the same port: %v, want it denied", a, got)
			}
		}
	}
}
