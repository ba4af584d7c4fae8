// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"mpol/compiler/program"
)

// BenchmarkPacket measures what a packet costs by BPF_PROG_TEST_RUN, cache hot: the empty program, a
// packet of a live flow, and one that is judged each time.
func BenchmarkPacket(b *testing.B) {
	n := newNode(b, func(c *Config) { c.Reject, c.EventsAll = false, false })
	n.apply(shop)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	n.must(err)
	defer empty.Close()
	// ack is the third packet of a handshake: its flow is live.
	ack := func(src, dst netip.Addr) []byte {
		syn := frame(src, dst, program.ProtoTCP, 1000, 8080)
		n.run(n.d.objs.FromWorkload, w1.Device, syn, 1)
		at := len(syn) - 32 + 13
		return with(syn, map[int]byte{at: 0x10})
	}
	rows := []struct {
		name    string
		program *ebpf.Program
		packet  []byte
	}{
		{"empty", empty, frame(w1.IPv4, w2.IPv4, program.ProtoTCP, 1000, 8080)},
		{"live/IPv4", n.d.objs.FromWorkload, ack(w1.IPv4, w2.IPv4)},
		{"live/IPv6", n.d.objs.FromWorkload, ack(w1.IPv6, w2.IPv6)},
		{"judged/denied", n.d.objs.FromWorkload, frame(w1.IPv4, w2.IPv4, program.ProtoUDP, 1000, 1)},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			b.ResetTimer()
			n.run(row.program, w1.Device, row.packet, b.N)
		})
	}
}

// run runs a program on a packet that crosses a device.
func (n *node) run(p *ebpf.Program, device string, packet []byte, times int) (ret int32) {
	n.t.Helper()
	n.in(func() error {
		index, err := findDevice(device)
		if err != nil {
			return err
		}
		r, err := p.Run(&ebpf.RunOptions{
			Data: packet, Repeat: uint32(times), Context: skb{IngressIfindex: uint32(index), Ifindex: uint32(index)},
		})
		ret = int32(r)
		return err
	})
	return ret
}
