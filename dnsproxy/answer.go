// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// maxHops is the longest chain of aliases that is believed.
const maxHops = 16

// Why an answer of good form is not believed.
var (
	errChain    = errors.New("alias chain loops, forks or is too long")
	errOffChain = errors.New("address of a name that the question does not lead to")
)

// answer is a server's message whose form is good, with the records of its answer section.
type answer struct {
	msg     []byte
	rcode   int
	records []record
}

// answers reports whether msg is a response to q, which is compared byte for byte.
func answers(msg []byte, q question) bool {
	h, ok := readHeader(msg)
	return ok && h.response() && h.qd == 1 && bytes.HasPrefix(msg[headerLen:], q.raw)
}

// readAnswer walks a response to q to its last byte.
func readAnswer(msg []byte, q question) (answer, error) {
	h, _ := readHeader(msg)
	if !answers(msg, q) || h.opcode() != 0 {
		return answer{}, errMalformed
	}
	a := answer{msg: msg, rcode: h.rcode()}
	off := headerLen + len(q.raw)
	for i := range h.an + h.ns + h.ar {
		r, err := readRecord(msg, off)
		if err != nil || !goodData(msg, r) {
			return answer{}, errMalformed
		}
		if i < h.an {
			a.records = append(a.records, r)
		}
		off = r.end
	}
	if off != len(msg) {
		return answer{}, errMalformed
	}
	return a, nil
}

// goodData checks the RDATA of the types that the proxy reads.
func goodData(msg []byte, r record) bool {
	switch r.typ {
	case typeA:
		return r.class != classIN || r.end-r.data == 4
	case typeAAAA:
		return r.end-r.data == 16
	case typeCNAME, typeDNAME:
		_, next, err := readName(msg[:r.end], r.data)
		return err == nil && next == r.end
	case typeSVCB, typeHTTPS:
		_, err := hints(msg, r)
		return err == nil
	}
	return true
}

// hints returns the address hints of an SVCB or HTTPS record (RFC 9460, 2.2 and 7.3), none in
// alias mode.
func hints(msg []byte, r record) ([]netip.Addr, error) {
	const ipv4hint, ipv6hint = 4, 6
	if r.end-r.data < 3 {
		return nil, errMalformed
	}
	priority := binary.BigEndian.Uint16(msg[r.data:])
	_, off, err := readName(msg[:r.end], r.data+2)
	if err != nil {
		return nil, errMalformed
	}
	var addrs []netip.Addr
	for last := -1; off < r.end; {
		if off+4 > r.end {
			return nil, errMalformed
		}
		key, size := int(binary.BigEndian.Uint16(msg[off:])), int(binary.BigEndian.Uint16(msg[off+2:]))
		off += 4
		if key <= last || off+size > r.end {
			return nil, errMalformed
		}
		last = key
		step := 0
		switch key {
		case ipv4hint:
			step = 4
		case ipv6hint:
			step = 16
		}
		if step != 0 && (size == 0 || size%step != 0) {
			return nil, errMalformed
		}
		for at := off; step != 0 && at < off+size; at += step {
			a, _ := netip.AddrFromSlice(msg[at : at+step])
			addrs = append(addrs, a)
		}
		off += size
	}
	if priority == 0 {
		return nil, nil
	}
	return addrs, nil
}

// learned is an address that an answer gives, with the least TTL on the way to it.
type learned struct {
	addr netip.Addr
	ttl  time.Duration
}

// chain is the way from the question's name through aliases to the name that has the addresses.
type chain struct {
	end wireName
	on  map[wireName]bool // every name on the way, end included; nil when there is no alias
	ttl uint32            // the least of the aliases, in seconds
}

// follow walks the aliases of a from name, in whatever order they stand.
func (a *answer) follow(name wireName) (chain, error) {
	c := chain{end: name, ttl: 1<<32 - 1}
	next := make(map[wireName]record)
	var dnames []record
	for _, r := range a.records {
		switch r.typ {
		case typeCNAME:
			if _, twice := next[r.owner]; twice {
				return c, errChain
			}
			next[r.owner] = r
		case typeDNAME:
			dnames = append(dnames, r)
		}
	}
	if len(next) == 0 && len(dnames) == 0 {
		return c, nil
	}
	c.on = map[wireName]bool{name: true}
	for hops := 0; ; hops++ {
		to, ok, err := a.step(&c, next, dnames)
		if err != nil || !ok {
			return c, err
		}
		if hops == maxHops || c.on[to] {
			return c, errChain
		}
		c.on[to] = true
		c.end = to
	}
}

// step finds the alias at the end of c: a CNAME, a DNAME above it, or both, which must agree.
func (a *answer) step(c *chain, next map[wireName]record, dnames []record) (to wireName, ok bool, err error) {
	if r, found := next[c.end]; found {
		to, _, _ = readName(a.msg, r.data) // goodData has read it
		c.ttl, ok = min(c.ttl, seconds(r.ttl)), true
	}
	for _, r := range dnames {
		prefix, below := c.end.within(r.owner)
		if !below {
			continue
		}
		target, _, _ := readName(a.msg, r.data)
		made := prefix + target
		if len(made) > maxNameLen-1 || ok && made != to {
			return "", false, errChain
		}
		to, ok = made, true
		c.ttl = min(c.ttl, seconds(r.ttl))
	}
	return to, ok, nil
}

// seconds is a TTL with the highest bit read as RFC 2181, 8 says: as zero.
func seconds(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

// learn returns the addresses that a gives for name. An address of a name that the chain does not
// end at is an error, as is one in an answer that says that there is none.
func (a *answer) learn(name wireName, ttl TTL) ([]learned, chain, error) {
	c, err := a.follow(name)
	if err != nil {
		return nil, c, err
	}
	var found []learned
	for _, r := range a.records {
		if r.class != classIN {
			return nil, c, errMalformed
		}
		addrs := a.addresses(r)
		if len(addrs) == 0 {
			continue
		}
		if r.owner != c.end || a.rcode != rcodeSuccess {
			return nil, c, errOffChain
		}
		t := ttl.clamp(min(c.ttl, seconds(r.ttl)))
		for _, addr := range addrs {
			found = append(found, learned{addr: addr, ttl: t})
		}
	}
	return found, c, nil
}

// lower lowers the TTLs in a's message, whose chain is c, where they are longer than what learn
// returned, so that no client keeps an address for longer than it is open.
func (a *answer) lower(c chain, ttl TTL) {
	for _, r := range a.records {
		limit := uint32(ttl.Max / time.Second)
		if r.owner == c.end {
			limit = min(limit, max(c.ttl, uint32(ttl.Min/time.Second)))
		}
		if sent := seconds(r.ttl); sent > limit || sent != r.ttl {
			binary.BigEndian.PutUint32(a.msg[r.ttlAt:], min(limit, sent))
		}
	}
}

// addresses returns the addresses of one record.
func (a *answer) addresses(r record) []netip.Addr {
	switch r.typ {
	case typeA, typeAAAA:
		addr, _ := netip.AddrFromSlice(a.msg[r.data:r.end])
		return []netip.Addr{addr}
	case typeSVCB, typeHTTPS:
		addrs, _ := hints(a.msg, r) // goodData has read it
		return addrs
	}
	return nil
}
