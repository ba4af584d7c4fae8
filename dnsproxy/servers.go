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
	k, err := s.socket(x)
	if err != nil {
		x.fail("no socket to the server")
		return
	}
	id, ok := k.pending.add(x)
	if !ok {
		x.fail("too many questions to the server in flight")
		return
	}
	binary.BigEndian.PutUint16(x.msg, id)
	// The first error may be an earlier datagram's, told by ICMP.
	if _, err := k.conn.Write(x.msg); err != nil {
		if _, err = k.conn.Write(x.msg); err != nil {
			x.fail("server cannot be reached")
		}
	}
}

// socket picks one of the sockets to x's server and opens it if it has to.
func (s *servers) socket(x *exchange) (*serverSocket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	srv, ok := s.byAddr.get(x.Server)
	if !ok {
		srv = new(server)
		s.byAddr.put(x.Server, srv)
	}
	i := rand.IntN(socketsPerServer)
	k := srv.sockets[i]
	if k != nil && (k.asked >= questionsASocket || time.Since(k.born) > socketAge) {
		k.retire(s.p.cfg.Timeouts.Query)
		k = nil
	}
	if k == nil {
		d := net.Dialer{Control: s.p.cfg.Control}
		c, err := d.DialContext(x.ctx, "udp", x.Server.String())
		if err != nil {
			return nil, err
		}
		k = &serverSocket{conn: c.(*net.UDPConn), born: time.Now()}
		srv.sockets[i] = k
		s.p.running.Go(func() { s.read(x.ctx, k) })
	}
	k.asked++
	return k, nil
}

// retire lets a socket live on for as long as an answer may come.
func (k *serverSocket) retire(wait time.Duration) {
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
		x.fail("server cannot be reached")
	}
}

// close lets no socket open any more; those that are end with Serve's context.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
