// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// A value is the quickest of some batches of packets: what else runs on the machine can only make
// one slower.
const (
	batches = 5
	repeat  = 40_000
)

// skb is the head of the kernel's struct __sk_buff, as BPF_PROG_TEST_RUN takes it.
type skb struct {
	_              [9]uint32
	IngressIfindex uint32
	Ifindex        uint32
	_              [37]uint32
}

// packets compares a packet of a live flow, at the program that the running node has at one's
// device, with the empty program (BPF_PROG_TEST_RUN, cache hot).
func (p *pair) packets(ctx context.Context) ([]*comparison, error) {
	one, two := p.governed.Workloads[0], p.governed.Workloads[1]
	empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load the empty program: %w", err)
	}
	p.closers = append(p.closers, empty.Close)
	var program *ebpf.Program
	var device *net.Interface
	err = p.governed.World.Node.Do(func() (err error) {
		if device, err = net.InterfaceByName(one.Device); err != nil {
			return err
		}
		got, err := link.QueryPrograms(link.QueryOptions{Target: device.Index, Attach: ebpf.AttachTCXIngress})
		if err != nil {
			return err
		}
		if len(got.Programs) != 1 {
			return fmt.Errorf("%d programs at %s, want 1", len(got.Programs), device.Name)
		}
		program, err = ebpf.NewProgramFromID(got.Programs[0].ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the program of one: %w", err)
	}
	p.closers = append(p.closers, program.Close)
	at := func(program *ebpf.Program, packet []byte) func() ([]float64, error) {
		return func() ([]float64, error) { return p.run(program, device.Index, packet) }
	}
	var all []*comparison
	for _, to := range []netip.Addr{two.IPv4, two.IPv6} {
		conn, err := one.Dial(ctx, "tcp", netip.AddrPortFrom(to, 7000))
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, conn.Close)
		packet := ack(conn.LocalAddr().(*net.TCPAddr).AddrPort(), netip.AddrPortFrom(to, 7000))
		version := map[bool]string{true: "IPv4", false: "IPv6"}[to.Is4()]
		all = append(all, &comparison{
			metrics: []metric{{"packet of a live flow, " + version, "ns"}},
			beside:  side{name: "the empty program", measure: at(empty, packet)},
			ours:    side{name: "mpol", measure: at(program, packet)},
		})
	}
	return all, nil
}

// run gives the time of a packet in ns.
func (p *pair) run(program *ebpf.Program, device int, packet []byte) ([]float64, error) {
	var took []float64
	err := p.governed.World.Node.Do(func() error {
		for range batches {
			began := time.Now()
			verdict, err := program.Run(&ebpf.RunOptions{
				Data: packet, Repeat: repeat, Context: skb{IngressIfindex: uint32(device), Ifindex: uint32(device)},
			})
			if err != nil {
				return err
			}
			if int32(verdict) != -1 {
				return errors.New("the packet did not pass")
			}
			took = append(took, float64(time.Since(began).Nanoseconds())/repeat)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []float64{quantile(took, 0)}, nil
}

// ack is an Ethernet frame with an ACK of TCP that carries nothing. Its checksums are 0: nobody on
// its way looks.
func ack(from, to netip.AddrPort) []byte {
	frame := make([]byte, 12, 74)
	src, dst := from.Addr().Unmap().AsSlice(), to.Addr().AsSlice()
	if to.Addr().Is4() {
		frame = append(frame, 0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0)
	} else {
		frame = append(frame, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64)
	}
	frame = append(append(frame, src...), dst...)
	frame = binary.BigEndian.AppendUint16(frame, from.Port())
	frame = binary.BigEndian.AppendUint16(frame, to.Port())
	return append(frame, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0)
}
