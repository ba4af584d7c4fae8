// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"encoding/binary"
	"errors"

	"mpol/compiler/program"
)

// Sizes of RFC 1035 and RFC 6891, in octets.
const (
	headerLen   = 12
	maxNameLen  = 255 // with length octets and the root label
	maxLabelLen = 63
	maxUDPPlain = 512   // largest message over UDP without EDNS
	maxMessage  = 65535 // over TCP
	// maxPointers bounds the walk of one compressed name: no name has more labels.
	maxPointers = 126
)

// Resource record types and classes that the proxy tells apart.
const (
	typeA     = 1
	typeCNAME = 5
	typeSIG   = 24
	typeAAAA  = 28
	typeDNAME = 39
	typeOPT   = 41
	typeSVCB  = 64
	typeHTTPS = 65
	typeTKEY  = 249
	typeTSIG  = 250
	typeMAILA = 254
	typeANY   = 255
	classIN   = 1
)

// Response codes.
const (
	rcodeSuccess  = 0
	rcodeFormErr  = 1
	rcodeServFail = 2
	rcodeNXDomain = 3
	rcodeNotImp   = 4
	rcodeRefused  = 5
)

// errMalformed says that a message breaks the wire format.
var errMalformed = errors.New("malformed message")

// wireName is a DNS name in wire form, uncompressed, ASCII letters lowered and without the root
// label: each label after its length octet. The root is the empty wireName.
type wireName string

// labels returns the labels of n.
func (n wireName) labels() program.Name {
	count := 0
	for rest := n; rest != ""; rest = rest[1+int(rest[0]):] {
		count++
	}
	ls := make(program.Name, 0, count)
	for rest := n; rest != ""; {
		end := 1 + int(rest[0])
		ls = append(ls, string(rest[1:end]))
		rest = rest[end:]
	}
	return ls
}

// within reports whether n lies below the name zone, and returns the labels before it.
func (n wireName) within(zone wireName) (prefix wireName, ok bool) {
	for at := 0; len(n)-at > len(zone); {
		at += 1 + int(n[at])
		if n[at:] == zone {
			return n[:at], true
		}
	}
	return "", false
}

// readName reads the name at off, which may be compressed; next is the offset after it. A pointer
// must lead to before the place where its part of the name began, so that every walk ends.
func readName(msg []byte, off int) (name wireName, next int, err error) {
	var buf [maxNameLen]byte
	n, limit, pointers := 0, off, 0
	for off < len(msg) {
		c := int(msg[off])
		switch {
		case c == 0:
			if pointers == 0 {
				next = off + 1
			}
			return wireName(buf[:n]), next, nil
		case c <= maxLabelLen:
			if off+1+c > len(msg) || n+1+c > maxNameLen-1 {
				return "", 0, errMalformed
			}
			buf[n] = byte(c)
			for i, b := range msg[off+1 : off+1+c] {
				buf[n+1+i] = lower(b)
			}
			n += 1 + c
			off += 1 + c
		case c >= 0xc0 && off+2 <= len(msg):
			if pointers == 0 {
				next = off + 2
			}
			to := int(binary.BigEndian.Uint16(msg[off:]) & 0x3fff)
			if pointers++; pointers > maxPointers || to >= limit || to < headerLen {
				return "", 0, errMalformed
			}
			limit, off = to, to
		default:
			return "", 0, errMalformed
		}
	}
	return "", 0, errMalformed
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// header is the fixed part of a message.
type header struct {
	id             uint16
	flags          uint16
	qd, an, ns, ar int // the counts of the four sections
}

func readHeader(msg []byte) (header, bool) {
	if len(msg) < headerLen {
		return header{}, false
	}
	at := func(i int) uint16 { return binary.BigEndian.Uint16(msg[i:]) }
	return header{at(0), at(2), int(at(4)), int(at(6)), int(at(8)), int(at(10))}, true
}

// Flags of the header.
const (
	flagQR = 1 << 15
	flagTC = 1 << 9
	flagRD = 1 << 8
	flagCD = 1 << 4
)

func (h header) response() bool { return h.flags&flagQR != 0 }
func (h header) opcode() int    { return int(h.flags>>11) & 15 }
func (h header) rcode() int     { return int(h.flags) & 15 }

// question is the one question of a message.
type question struct {
	name  wireName
	typ   uint16
	class uint16
	raw   []byte // as it was sent: name, type, class
}

// readQuestion reads the question after the header; end is the offset after it. Its name is the
// first of the message, so that no pointer in it can be good.
func readQuestion(msg []byte) (q question, end int, err error) {
	name, next, err := readName(msg, headerLen)
	if err != nil || next+4 > len(msg) {
		return question{}, 0, errMalformed
	}
	q = question{
		name:  name,
		typ:   binary.BigEndian.Uint16(msg[next:]),
		class: binary.BigEndian.Uint16(msg[next+2:]),
		raw:   msg[headerLen : next+4],
	}
	return q, next + 4, nil
}

// record is a resource record inside a message. Offsets count from the start of the message.
type record struct {
	owner wireName
	typ   uint16
	class uint16
	ttl   uint32 // seconds, as it was sent
	ttlAt int
	data  int // where the RDATA starts
	end   int // where it ends
}

// readRecord reads the record at off.
func readRecord(msg []byte, off int) (record, error) {
	owner, at, err := readName(msg, off)
	if err != nil || at+10 > len(msg) {
		return record{}, errMalformed
	}
	r := record{
		owner: owner,
		typ:   binary.BigEndian.Uint16(msg[at:]),
		class: binary.BigEndian.Uint16(msg[at+2:]),
		ttl:   binary.BigEndian.Uint32(msg[at+4:]),
		ttlAt: at + 4,
		data:  at + 10,
	}
	r.end = r.data + int(binary.BigEndian.Uint16(msg[at+8:]))
	if r.end > len(msg) {
		return record{}, errMalformed
	}
	return r, nil
}
