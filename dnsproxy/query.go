// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"encoding/binary"

	"mpol/compiler/program"
)

// ask is a client's message that may be judged.
type ask struct {
	question
	labels program.Name // of the question
	id     uint16
	flags  uint16
	edns   bool
	limit  int // the largest answer over UDP that the client takes, in octets
}

// fault says why a client's message is not even judged. A message with silent is not answered:
// it is no question, and an answer to an answer could go on for ever.
type fault struct {
	rcode  int
	silent bool
	reason string
}

// readQuery checks a client's message: one question of class IN with standard opcode, at most one
// OPT, nothing else that could carry data past the policy. The fault is nil when it may be judged.
func readQuery(msg []byte) (ask, *fault) {
	h, ok := readHeader(msg)
	switch {
	case !ok:
		return ask{}, &fault{silent: true, reason: "shorter than a header"}
	case h.response():
		return ask{}, &fault{silent: true, reason: "a response from a client"}
	case h.opcode() != 0:
		return ask{id: h.id, flags: h.flags}, &fault{rcode: rcodeNotImp, reason: "opcode is not QUERY"}
	case h.qd != 1:
		return ask{id: h.id, flags: h.flags}, &fault{rcode: rcodeFormErr, reason: "not exactly one question"}
	}
	q, off, err := readQuestion(msg)
	if err != nil {
		return ask{id: h.id, flags: h.flags}, &fault{rcode: rcodeFormErr, reason: "question cannot be read"}
	}
	a := ask{question: q, labels: q.name.labels(), id: h.id, flags: h.flags, limit: maxUDPPlain}
	switch {
	case q.class != classIN:
		return a, &fault{rcode: rcodeRefused, reason: "class is not IN"}
	case q.typ == 0 || q.typ == typeOPT || typeTKEY <= q.typ && q.typ <= typeMAILA:
		return a, &fault{rcode: rcodeRefused, reason: "type cannot be asked for here"}
	case h.an != 0 || h.ns != 0:
		return a, &fault{rcode: rcodeFormErr, reason: "records in a question's answer or authority"}
	}
	if !a.readAdditional(msg, off, h.ar) {
		return a, &fault{rcode: rcodeFormErr, reason: "additional section of a question"}
	}
	return a, nil
}

// readAdditional reads the n records at off, which must end the message: OPT, once, and
// signatures of the message.
func (a *ask) readAdditional(msg []byte, off, n int) bool {
	for range n {
		r, err := readRecord(msg, off)
		if err != nil {
			return false
		}
		switch r.typ {
		case typeOPT:
			if a.edns || r.owner != "" {
				return false
			}
			a.edns = true
			a.limit = max(maxUDPPlain, int(r.class))
		case typeTSIG, typeSIG:
		default:
			return false
		}
		off = r.end
	}
	return off == len(msg)
}

// refusal is what a client is told instead of an answer. Code and text are an extended DNS error
// (RFC 8914), told to clients that speak EDNS.
type refusal struct {
	rcode int
	code  uint16
	text  string
}

// Extended DNS error codes.
const (
	errorOther      = 0
	errorProhibited = 18
)

// refusalTTL bounds how long a client may remember an NXDOMAIN of ours, in seconds.
const refusalTTL = 5

// reply builds the answer to a: header, the question if it could be read and OPT if it had one.
// NXDOMAIN carries an SOA, so that its memory is short.
func (r refusal) reply(a *ask) []byte {
	const flagRA = 1 << 7
	flags := flagQR | flagRA | a.flags&(15<<11|flagRD|flagCD) | uint16(r.rcode)
	out := make([]byte, headerLen, headerLen+len(a.raw)+64+len(r.text))
	binary.BigEndian.PutUint16(out[0:], a.id)
	binary.BigEndian.PutUint16(out[2:], flags)
	if len(a.raw) > 0 {
		out[5] = 1
		out = append(out, a.raw...)
	}
	if r.rcode == rcodeNXDomain {
		out[9] = 1
		out = appendSOA(out)
	}
	if a.edns {
		out[11] = 1
		out = r.appendOPT(out)
	}
	return out
}

// appendSOA appends an SOA record of the root with names and numbers of no meaning but the times.
func appendSOA(out []byte) []byte {
	const rdata = 2 + 5*4 // two root names, serial, refresh, retry, expire, minimum
	out = append(out, 0, 0, 6, 0, classIN)
	out = binary.BigEndian.AppendUint32(out, refusalTTL)
	out = binary.BigEndian.AppendUint16(out, rdata)
	out = append(out, 0, 0)
	for _, n := range []uint32{1, 3600, 600, 86400, refusalTTL} {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return out
}

func (r refusal) appendOPT(out []byte) []byte {
	const extendedError = 15
	out = append(out, 0, 0, typeOPT)
	out = binary.BigEndian.AppendUint16(out, maxUDPSafe)
	out = append(out, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(4+2+len(r.text)))
	out = binary.BigEndian.AppendUint16(out, extendedError)
	out = binary.BigEndian.AppendUint16(out, uint16(2+len(r.text)))
	out = binary.BigEndian.AppendUint16(out, r.code)
	return append(out, r.text...)
}

// truncated builds the answer that sends a client over UDP to TCP: the first half of an answer's
// header, its question, and nothing that could open an address.
func truncated(msg []byte, q question) []byte {
	out := make([]byte, headerLen, headerLen+len(q.raw))
	copy(out, msg[:4])
	out[2] |= flagTC >> 8
	out[5] = 1
	return append(out, q.raw...)
}
