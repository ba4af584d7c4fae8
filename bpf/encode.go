// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"mpol/compiler/program"
)

// encodeAddr writes an address as the programs compare it: 16 bytes, IPv4 as ::ffff:a.b.c.d.
func encodeAddr(a netip.Addr) datapathAddr { return datapathAddr{Byte: a.As16()} }

func decodeAddr(a datapathAddr) netip.Addr { return netip.AddrFrom16(a.Byte).Unmap() }

// encodePrefix writes a prefix; that of IPv4 is 96 bits longer.
func encodePrefix(p netip.Prefix) datapathPrefix {
	k := datapathPrefix{Length: uint32(p.Bits())}
	if p.Addr().Is4() {
		k.Length += 96
	}
	k.Addr.Byte = p.Masked().Addr().As16()
	return k
}

// networkOrder returns the number whose bytes in memory are those of n in network order.
func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// encodeVerdict writes a verdict; rule is the number of its rule.
func encodeVerdict(v program.Verdict, rule uint32) datapathEntry {
	e := datapathEntry{Rank: v.Rank, Order: v.Order, Rule: rule}
	e.Flags = uint8(v.L7) << datapathEntryFlagENTRY_L7SHIFT
	for flag, set := range map[datapathEntryFlag]bool{
		datapathEntryFlagENTRY_ALLOW:  v.Allow,
		datapathEntryFlagENTRY_LOG:    v.Log,
		datapathEntryFlagENTRY_REJECT: v.Reject,
	} {
		if set {
			e.Flags |= uint8(flag)
		}
	}
	return e
}

// portPrefixes cuts a range of ports into prefixes: the first port of each and how many of its 16
// bits count.
func portPrefixes(first, last uint16) (ports []uint16, bits []uint32) {
	for at := uint32(first); at <= uint32(last); {
		size, n := uint32(1), uint32(16)
		for at&(2*size-1) == 0 && at+2*size-1 <= uint32(last) {
			size, n = 2*size, n-1
		}
		ports, bits = append(ports, uint16(at)), append(bits, n)
		at += size
	}
	return ports, bits
}

// word is eight bytes as the programs load them.
func word(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

// decodeEvent reads a record of the ring.
func decodeEvent(b []byte) (e datapathEvent, err error) {
	if _, err := binary.Decode(b, binary.NativeEndian, &e); err != nil {
		return e, fmt.Errorf("decode event of %d bytes: %w", len(b), err)
	}
	return e, nil
}
