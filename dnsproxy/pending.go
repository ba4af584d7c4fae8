// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// maxPending bounds the questions of one socket or connection towards a server: far fewer than
// there are IDs, so that a free one is found soon and a guess stays a guess.
const maxPending = 8192

// pending holds the exchanges that one socket or connection has sent to its server, by the ID it
// gave them. An exchange that nobody answered keeps its ID until the socket retires, so that a
// late answer meets nobody else's question.
type pending struct {
	mu     sync.Mutex
	byID   map[uint16]*exchange
	closed bool
}

// add gives x an ID that cannot be guessed. It fails when there are too many, or after drain.
func (p *pending) add(x *exchange) (id uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.byID) >= maxPending {
		return 0, false
	}
	if p.byID == nil {
		p.byID = make(map[uint16]*exchange)
	}
	for {
		var b [2]byte
		rand.Read(b[:]) // never fails, see its documentation
		id = binary.BigEndian.Uint16(b[:])
		if p.byID[id] == nil {
			p.byID[id] = x
			return id, true
		}
	}
}

// take removes and returns the exchange that msg answers, nil when there is none.
func (p *pending) take(msg []byte) *exchange {
	if len(msg) < headerLen {
		return nil
	}
	id := binary.BigEndian.Uint16(msg)
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.byID[id]
	if x == nil || !answers(msg, x.question) {
		return nil
	}
	delete(p.byID, id)
	return x
}

// none reports whether no exchange is held.
func (p *pending) none() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byID) == 0
}

// drain removes and returns all exchanges; last says that add fails from now on.
func (p *pending) drain(last bool) []*exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = p.closed || last
	xs := make([]*exchange, 0, len(p.byID))
	for _, x := range p.byID {
		xs = append(xs, x)
	}
	p.byID = nil
	return xs
}
