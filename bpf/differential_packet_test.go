// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

var longAgo = time.Unix(1, 0)

// skb is struct __sk_buff as far as a test may set it; the rest is zero.
type skb struct {
	_              [9]uint32
	IngressIfindex uint32
	Ifindex        uint32
	_              [37]uint32
}

// frame builds an Ethernet frame with a packet that opens a flow.
func frame(src, dst netip.Addr, proto uint8, sport, port uint16) []byte {
	l4 := make([]byte, 32)
	switch proto {
	case program.ProtoTCP:
		binary.BigEndian.PutUint16(l4, sport)
		binary.BigEndian.PutUint16(l4[2:], port)
		l4[12], l4[13] = 5<<4, 0x02
	case program.ProtoICMP, program.ProtoICMPv6:
		binary.BigEndian.PutUint16(l4, port)
		binary.BigEndian.PutUint16(l4[4:], sport)
	default:
		binary.BigEndian.PutUint16(l4, sport)
		binary.BigEndian.PutUint16(l4[2:], port)
	}
	out := make([]byte, 14, 100)
	if src.Is4() {
		binary.BigEndian.PutUint16(out[12:], 0x0800)
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(l4)))
		copy(ip[12:], src.AsSlice())
		copy(ip[16:], dst.AsSlice())
		return append(append(out, ip...), l4...)
	}
	binary.BigEndian.PutUint16(out[12:], 0x86dd)
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 0x60, proto, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(len(l4)))
	copy(ip[8:], src.AsSlice())
	copy(ip[24:], dst.AsSlice())
	return append(append(out, ip...), l4...)
}

// one draws a packet for a hook, runs the program and compares; ran is false for one that cannot be.
func (d *differential) one(h hookRun) (ran bool, err error) {
	src, dst, ok := d.drawEnds(h)
	if !ok {
		return false, nil
	}
	at := d.drawPoint(src, dst)
	if at.proto == program.ProtoICMP && !src.Is4() || at.proto == program.ProtoICMPv6 && src.Is4() {
		return false, nil
	}
	sport := uint16(1024 + d.rand.IntN(60000))
	ret, err := h.program.Run(&ebpf.RunOptions{
		Data:    frame(src, dst, at.proto, sport, at.port),
		Context: skb{IngressIfindex: uint32(h.device), Ifindex: uint32(h.device)},
	})
	if err != nil {
		return false, fmt.Errorf("run the program: %w", err)
	}
	var events []datapathEvent
	d.drain(func(e datapathEvent) { events = append(events, e) })
	d.compare(h, src, dst, at, events, int32(ret))
	return true, d.forgetFlows()
}

// drawPoint draws a protocol and port: mostly one that a table of an end has an entry for.
func (d *differential) drawPoint(src, dst netip.Addr) l4Point {
	var entries []l4Point
	collect := func(table int, peer netip.Addr, direction program.Direction) {
		if table < 0 {
			return
		}
		t := &d.p.Tables.Tables[table]
		class := t.Class(d.address(peer).Identity)
		for i, cl := range t.Classes {
			if i != class && (!cl.Names || direction == program.Ingress) {
				continue
			}
			for _, e := range cl.Entries {
				if e.Proto != 0 {
					entries = append(entries, l4Point{e.Proto, e.First}, l4Point{e.Proto, e.Last})
				}
			}
		}
	}
	if b := d.bound(d.address(src).Workload); b != nil {
		collect(b.Egress, dst, program.Egress)
	}
	if b := d.bound(d.address(dst).Workload); b != nil {
		collect(b.Ingress, src, program.Ingress)
	}
	if len(entries) == 0 || d.rand.IntN(4) == 0 {
		return d.l4[d.rand.IntN(len(d.l4))]
	}
	return entries[d.rand.IntN(len(entries))]
}

// drawEnds draws the addresses of a packet that may cross a hook.
func (d *differential) drawEnds(h hookRun) (src, dst netip.Addr, ok bool) {
	any := func() netip.Addr {
		if d.rand.IntN(4) > 0 {
			return d.near[d.rand.IntN(len(d.near))]
		}
		return d.addrs[d.rand.IntN(len(d.addrs))]
	}
	own := func() netip.Addr {
		for _, w := range d.Workloads {
			if w.Name == h.self {
				return []netip.Addr{w.IPv4, w.IPv6}[d.rand.IntN(2)]
			}
		}
		return any()
	}
	switch h.program {
	case d.node.d.objs.FromWorkload:
		src, dst = own(), any()
		if d.rand.IntN(20) == 0 {
			src = any()
		}
	case d.node.d.objs.ToWorkload:
		src, dst = any(), own()
	default:
		src, dst = any(), any()
		if d.rand.IntN(2) == 0 {
			dst = d.Workloads[1].IPv4
		}
	}
	return src, dst, src.Is4() == dst.Is4() && src != dst
}

func (d *differential) compare(h hookRun, src, dst netip.Addr, at l4Point, events []datapathEvent, ret int32) {
	what := fmt.Sprintf("%s of %q: %s to %s, protocol %d, port %d", h.program, h.self, src, dst, at.proto, at.port)
	owner := d.address(src)
	local := owner.Workload != "" && d.bound(owner.Workload) != nil
	spoofed := h.program == d.node.d.objs.FromWorkload && owner.Workload != h.self ||
		h.program == d.node.d.objs.FromUplink && (local || owner.Node)
	if spoofed {
		if len(events) != 1 || datapathDropReason(events[0].Reason) != datapathDropReasonDROP_SPOOFED || ret != 2 {
			d.t.Errorf("%s: returns %d with %+v, want a spoofed source", what, ret, events)
		}
		d.seen["drop spoofed source"]++
		return
	}
	f := verdict.Flow{From: verdict.End{Addr: src}, To: verdict.End{Addr: dst}, Proto: at.proto, Port: at.port}
	if at.proto != 6 && at.proto != 17 && at.proto != 132 && at.proto != 1 && at.proto != 58 {
		f.Port = 0
	}
	f.Names = d.learned[owner.Workload][dst]
	want := verdict.Decide(&d.p.Rules, f)
	if !want.Judged() {
		if len(events) != 0 || ret != -1 {
			d.t.Errorf("%s: returns %d with %+v, want it not judged", what, ret, events)
		}
		d.seen["not judged"]++
		return
	}
	if len(events) == 0 {
		d.t.Errorf("%s: no event, want %+v", what, want)
		return
	}
	e := d.node.d.event(events[0])
	got := fmt.Sprintf("%s %s %s", e.Verdict, e.Half, e.Rule)
	expect := fmt.Sprintf("%s %s %s", want.Action, want.Half, d.p.Rules.Source(want.Rule).Key)
	if want.Action == verdict.Redirect {
		got += fmt.Sprintf(" %s %d", e.L7, e.Listener)
		expect += fmt.Sprintf(" %s %d", want.L7, d.listener(f, want))
	}
	if got != expect {
		d.t.Errorf("%s: %s (%s), want %s: %s", what, got, e.Reason, expect, want.Reason)
	}
	if want.Action == verdict.Allow && ret != -1 || want.Action == verdict.Deny && ret == -1 {
		d.t.Errorf("%s: returns %d, want %s", what, ret, want.Action)
	}
	d.seen[want.Action.String()]++
	d.seen["rule "+e.Rule]++
	for _, e := range events {
		if e.Reason != 0 {
			d.seen["drop "+DropReason(e.Reason).String()]++
		}
	}
}

// address finds the longest prefix of the program, and so the owner of an address.
func (d *differential) address(a netip.Addr) program.Address {
	var best program.Address
	for _, p := range d.p.Tables.Addresses {
		if p.Prefix.Contains(a) && (!best.Prefix.IsValid() || p.Prefix.Bits() > best.Prefix.Bits()) {
			best = p
		}
	}
	return best
}

func (d *differential) bound(name string) *program.Bound {
	for i := range d.p.Tables.Subjects {
		if d.p.Tables.Subjects[i].Workload == name {
			return &d.p.Tables.Subjects[i]
		}
	}
	return nil
}

// listener is the port to which the tables lead a redirected flow between devices.
func (d *differential) listener(f verdict.Flow, v verdict.Verdict) uint16 {
	if v.L7 == program.L7DNS {
		return nodeDNSPort
	}
	from, to := d.address(f.From.Addr), d.address(f.To.Addr)
	row := program.ProfileRow{Egress: -1, EgressClass: -1, NameClass: -1, Ingress: -1, IngressClass: -1, Port: f.Port}
	if b := d.bound(from.Workload); b != nil && b.Egress >= 0 {
		table := &d.p.Tables.Tables[b.Egress]
		row.Egress, row.EgressClass = b.Egress, table.Class(to.Identity)
		for _, n := range f.Names {
			if class := d.takes(table, n, f); class >= 0 && !to.Owned {
				row.NameClass = class
			}
		}
	}
	if b := d.bound(to.Workload); b != nil && b.Ingress >= 0 {
		row.Ingress, row.IngressClass = b.Ingress, d.p.Tables.Tables[b.Ingress].Class(from.Identity)
	}
	i := slices.IndexFunc(d.p.Tables.ProfileRows, func(r program.ProfileRow) bool {
		r.Profile = 0
		return r == row
	})
	if i < 0 {
		return 0
	}
	return d.ports[d.p.Tables.Profiles[d.p.Tables.ProfileRows[i].Profile].Key]
}

// takes returns the class of a name that allows the flow by an entry of its own, else -1.
func (d *differential) takes(t *program.Table, n program.Name, f verdict.Flow) int {
	key, ok := setOf(t, n)
	if !ok || t.Names == nil {
		return -1
	}
	class := slices.IndexFunc(t.Classes, func(c program.Class) bool { return c.Names && c.Key == key.Class })
	for _, e := range t.Classes[class].Entries {
		if e.Proto == f.Proto && e.First <= f.Port && f.Port <= e.Last && e.Verdict.Rank%4 == 1 {
			return class
		}
	}
	return -1
}

// forgetFlows empties the conntrack.
func (d *differential) forgetFlows() error {
	flows, err := openMirror[datapathFlowKey, datapathFlow](datapathMapFlows, d.node.d.objs.Flows)
	if err != nil {
		return err
	}
	return keepOnly(flows, map[datapathFlowKey]bool{})
}
