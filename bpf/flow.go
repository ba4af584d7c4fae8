// SPDX-License-Identifier: Apache-2.0

package bpf

import "net/netip"

// Call is a flow that reaches a proxy: the workload that opened it, the server that it meant, where an
// alias on lo stands for a resolver, and the workload of this node that this is, empty where it is none.
type Call struct {
	Client, Receiver string
	Server           netip.AddrPort
}

// Owner says whose a flow is. One that nobody of this node opened has no owner.
func (d *Datapath) Owner(proto uint8, client, server netip.AddrPort) (c Call, ok bool) {
	c.Server = server
	var real datapathAddr
	if err := d.objs.Aliases.Lookup(encodeAddr(server.Addr()), &real); err == nil {
		c.Server = netip.AddrPortFrom(decodeAddr(real), server.Port())
	}
	key, fromA := flowKey(proto, client, server)
	var f datapathFlow
	if err := d.objs.Flows.Lookup(key, &f); err != nil {
		return c, false
	}
	opener, other := f.Client, f.Server
	if fromA != (datapathFlowFlag(f.Flags)&datapathFlowFlagFLOW_FROM_A != 0) {
		opener, other = other, opener
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c.Client, ok = d.known.workloads[opener]
	c.Receiver = d.known.workloads[other]
	return c, ok
}

// flowKey builds the key of a flow other than ICMP and reports whether the client is its end a.
func flowKey(proto uint8, client, server netip.AddrPort) (k datapathFlowKey, fromA bool) {
	a, b := encodeAddr(client.Addr()), encodeAddr(server.Addr())
	fromA = below(a, b, client.Port(), server.Port())
	k = datapathFlowKey{A: a, B: b, A_port: client.Port(), B_port: server.Port(), Proto: proto}
	if !fromA {
		k.A, k.B, k.A_port, k.B_port = k.B, k.A, k.B_port, k.A_port
	}
	return k, fromA
}

// Drops counts dropped packets by reason; "lost events" are those for which the ring had no room.
func (d *Datapath) Drops() map[string]uint64 {
	out := map[string]uint64{}
	for reason := range uint32(datapathDropReasonDROP_REASONS) {
		var counts []uint64
		if err := d.objs.Drops.Lookup(reason, &counts); err != nil {
			continue // the array has an element for every reason
		}
		name := DropReason(reason).String()
		if reason == 0 {
			name = "lost events"
		}
		for _, n := range counts {
			out[name] += n
		}
	}
	return out
}

// Hits counts how often each rule decided, by its key: once a flow that it allowed, once a packet
// that it denied.
func (d *Datapath) Hits() (map[string]uint64, error) {
	out := map[string]uint64{}
	var rule uint32
	var counts []uint64
	it := d.objs.Hits.Iterate()
	d.mu.Lock()
	defer d.mu.Unlock()
	for it.Next(&rule, &counts) {
		for _, n := range counts {
			out[d.known.rules[rule]] += n
		}
	}
	return out, it.Err()
}

// below is the order of the ends of a flow, as conntrack.h has it: by the words of the addresses in
// memory, then by the ports.
func below(a, b datapathAddr, aPort, bPort uint16) bool {
	for i := 0; i < 16; i += 8 {
		if x, y := word(a.Byte[i:]), word(b.Byte[i:]); x != y {
			return x < y
		}
	}
	return aPort < bPort
}
