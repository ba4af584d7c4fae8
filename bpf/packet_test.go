// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"mpol/compiler/program"
)

const everything = `
default deny
policy all for workloads { egress { out: allow to any on any }  ingress { into: allow from any on any } }
`

// with returns a copy of a frame with some bytes changed.
func with(frame []byte, bytes map[int]byte) []byte {
	out := append([]byte{}, frame...)
	for at, b := range bytes {
		out[at] = b
	}
	return out
}

// Policy allows all of these packets; what the headers say decides.
func TestPackets(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Reject = false })
	n.apply(everything)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	v4 := frame(w1.IPv4, w2.IPv4, program.ProtoTCP, 1000, 80)
	v6 := frame(w1.IPv6, w2.IPv6, program.ProtoTCP, 1000, 80)
	nd := frame(netip.MustParseAddr("fe80::1"), w2.IPv6, program.ProtoICMPv6, 0, 135<<8)
	extended := func(next byte, header ...byte) []byte {
		out := append([]byte{}, v6[:54]...)
		out[20] = next
		return append(append(out, header...), v6[54:]...)
	}
	const pass, drop = -1, 2
	rows := []struct {
		name   string
		packet []byte
		want   int32
		reason datapathDropReason
	}{
		{"IPv4", v4, pass, 0},
		{"IPv6", v6, pass, 0},
		{"ARP", with(v4, map[int]byte{12: 0x08, 13: 0x06}), pass, 0},
		{"neighbour solicitation", with(nd, map[int]byte{21: 255, 38: 0xff, 39: 2}), pass, 0},
		{"neighbour solicitation that would be passed on", with(nd, map[int]byte{21: 255}), drop, datapathDropReasonDROP_SPOOFED},
		{"neighbour solicitation from afar", nd, drop, datapathDropReasonDROP_SPOOFED},
		{"another protocol", with(v4, map[int]byte{12: 0x88, 13: 0xcc}), drop, datapathDropReasonDROP_NOT_IP},
		{"short header length", with(v4, map[int]byte{14: 0x44}), drop, datapathDropReasonDROP_UNPARSABLE},
		{"wrong version", with(v4, map[int]byte{14: 0x65}), drop, datapathDropReasonDROP_UNPARSABLE},
		{"ports cut off", v4[:36], drop, datapathDropReasonDROP_UNPARSABLE},
		{"first fragment", with(v4, map[int]byte{20: 0x20}), drop, datapathDropReasonDROP_FRAGMENT},
		{"later fragment", with(v4, map[int]byte{21: 2}), drop, datapathDropReasonDROP_FRAGMENT},
		{"ICMPv6 in IPv4", with(v4, map[int]byte{23: 58}), drop, datapathDropReasonDROP_UNPARSABLE},
		{"hop-by-hop options", extended(0, 6, 0, 0, 0, 0, 0, 0, 0), pass, 0},
		{"fragment header of a whole packet", extended(44, 6, 0, 0, 0, 0, 0, 0, 0), pass, 0},
		{"fragment header", extended(44, 6, 0, 0, 9, 0, 0, 0, 0), drop, datapathDropReasonDROP_FRAGMENT},
		{"routing header", extended(43, 6, 0, 0, 0, 0, 0, 0, 0), drop, datapathDropReasonDROP_UNPARSABLE},
		{
			"mapped destination", frame(w1.IPv6, netip.MustParseAddr("::ffff:10.77.2.2"), program.ProtoTCP, 1000, 80),
			drop, datapathDropReasonDROP_UNPARSABLE,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := n.d.Drops()
			var ret uint32
			n.in(func() (err error) {
				device, err := findDevice(w1.Device)
				if err != nil {
					return err
				}
				ret, err = n.d.objs.FromWorkload.Run(&ebpf.RunOptions{
					Data: row.packet, Context: skb{IngressIfindex: uint32(device), Ifindex: uint32(device)},
				})
				return err
			})
			name := DropReason(row.reason).String()
			dropped := n.d.Drops()[name] - before[name]
			if int32(ret) != row.want || row.reason != 0 && dropped != 1 {
				t.Errorf("returns %d, %d drops of %q; want %d: %v", int32(ret), dropped, name, row.want, n.d.Drops())
			}
		})
	}
}

// A device of no workload is closed for the programs of workloads.
func TestUnknownDevice(t *testing.T) {
	n := newNode(t, nil)
	n.apply(everything)
	n.in(func() error {
		device, err := findDevice(n.Uplink)
		if err != nil {
			return err
		}
		for _, p := range []*ebpf.Program{n.d.objs.FromWorkload, n.d.objs.ToWorkload} {
			ret, err := p.Run(&ebpf.RunOptions{
				Data:    frame(n.Workloads[0].IPv4, n.Workloads[1].IPv4, program.ProtoTCP, 1, 80),
				Context: skb{IngressIfindex: uint32(device), Ifindex: uint32(device)},
			})
			if err != nil {
				return err
			}
			if ret != 2 {
				t.Errorf("%s returns %d, want a drop", p, ret)
			}
		}
		return nil
	})
	if got := n.d.Drops()["unknown workload"]; got < 2 {
		t.Errorf("%d drops for an unknown workload, want 2", got)
	}
}
