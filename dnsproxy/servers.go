// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// How the sockets towards a server are used. Several ports and their change make a forged answer
// as hard to place as its ID.
const (
	socketsPerServer = 4
	questionsASocket = maxPending
	socketAge        = time.Minute
)

// servers are those that the proxy has sockets to, over UDP.
type servers struct {
	p      *Proxy
	mu     sync.Mutex
	closed bool
	byAddr *lru[netip.AddrPort, *server]
}

// server is one of them, with its sockets, nil where not yet open.
type server struct {
	sockets [socketsPerServer]*serverSocket
}

// serverSocket is a connected socket: the kernel takes nothing for it from elsewhere.
type serverSocket struct {
	conn    *net.UDPConn
	pending pending
	asked   int
	born    time.Time
}

func newServers(p *Proxy) *servers {
	s := &servers{p: p}
	s.byAddr = newLRU[netip.AddrPort](p.cfg.Limits.Servers, func(gone *server) {
		for _, k := range gone.sockets {
			if k != nil {
				k.retire(p.cfg.Timeouts.Query)
			}
		}
	})
	return s
}

// forward sends x to its server, or ends it.
func (s *servers) forward(x *exchange) {
	k, id, err := s.place(x)
	if err != nil {
		x.fail(err.Error())
		return
	}
	binary.BigEndian.PutUint16(x.msg, id)
	// The first error may be an earlier datagram's, told by ICMP.
	if _, err := k.conn.Write(x.msg); err != nil {
		if _, err = k.conn.Write(x.msg); err != nil {
			x.fail(errUnreachable.Error())
		}
	}
}

// Why a question cannot be sent to its server.
var (
	errUnreachable = errors.New("server cannot be reached")
	errCrowded     = errors.New("too many questions to the server in flight")
)

// place picks one of the sockets to x's server, which it opens if it has to, and gives x an ID
// there.
func (s *servers) place(x *exchange) (*serverSocket, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, net.ErrClosed
	}
	srv, ok := s.byAddr.get(x.Server)
	if !ok {
		srv = new(server)
		s.byAddr.put(x.Server, srv)
	}
	slot := &srv.sockets[rand.IntN(socketsPerServer)]
	if k := *slot; k != nil && (k.asked >= questionsASocket || time.Since(k.born) > socketAge) {
		k.retire(s.p.cfg.Timeouts.Query)
		*slot = nil
	}
	if *slot == nil {
		k, err := s.open(x)
		if err != nil {
			return nil, 0, errUnreachable
		}
		*slot = k
	}
	k := *slot
	id, ok := k.pending.add(x)
	if !ok {
		return nil, 0, errCrowded
	}
	k.asked++
	return k, id, nil
}

// open makes a socket to x's server and starts its reader.
func (s *servers) open(x *exchange) (*serverSocket, error) {
	d := net.Dialer{Control: s.p.cfg.Control}
	c, err := d.DialContext(x.ctx, "udp", x.Server.String())
	if err != nil {
		return nil, err
	}
	k := &serverSocket{conn: c.(*net.UDPConn), born: time.Now()}
	s.p.running.Go(func() { s.read(x.ctx, k) })
	return k, nil
}

// retire lets a socket live on for as long as an answer may come.
func (k *serverSocket) retire(wait time.Duration) {
	if k.pending.none() {
		wait = 0
	}
	_ = k.conn.SetReadDeadline(time.Now().Add(wait))
}

// read takes the answers of one socket until it is closed or has retired.
func (s *servers) read(ctx context.Context, k *serverSocket) {
	defer k.conn.Close()
	defer context.AfterFunc(ctx, func() { k.conn.Close() })()
	buf := make([]byte, maxMessage)
	for {
		n, err := k.conn.Read(buf)
		switch {
		case err == nil:
			if x := k.pending.take(buf[:n]); x != nil {
				x.answer(slices.Clone(buf[:n]))
			}
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			k.fail(true)
			return
		default: // told by ICMP: the server does not listen, or there is no way to it
			k.fail(false)
		}
	}
}

func (k *serverSocket) fail(last bool) {
	for _, x := range k.pending.drain(last) {
		x.fail(errUnreachable.Error())
	}
}

// close lets no socket open any more; those that are end with Serve's context.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
