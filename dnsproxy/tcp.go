// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"mpol/compiler/program"
)

// acceptPause is how long the proxy waits when the system is out of descriptors or memory.
const acceptPause = 50 * time.Millisecond

// serveTCP takes the connections of one listening socket until ctx is done.
func (p *Proxy) serveTCP(ctx context.Context, l *net.TCPListener) error {
	for {
		c, err := l.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			p.running.Go(func() { p.serveStream(ctx, c) })
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS),
			errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ECONNABORTED):
			pause, stop := context.WithTimeout(ctx, acceptPause)
			<-pause.Done()
			stop()
		default:
			return fmt.Errorf("accept DNS connections at %v: %w", l.Addr(), err)
		}
	}
}

// stream is a client's connection with the one to its server, which is opened with the first
// question that goes there.
type stream struct {
	p      *Proxy
	ctx    context.Context // of Serve
	conn   *net.TCPConn
	origin origin
	slots  chan struct{} // one for each question that has no answer yet

	writing sync.Mutex

	mu     sync.Mutex
	closed bool
	server *serverStream
}

// serveStream answers one connection until its client ends it, idles or breaks the form. The local
// address of a connection that a transparent socket accepted is where the client meant to go.
func (p *Proxy) serveStream(ctx context.Context, c *net.TCPConn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	o := origin{
		proto:  program.ProtoTCP,
		client: unmap(c.RemoteAddr().(*net.TCPAddr).AddrPort()),
		sent:   unmap(c.LocalAddr().(*net.TCPAddr).AddrPort()),
	}
	o.Client, o.known = p.cfg.Client(o.proto, o.client, o.sent)
	if !p.conns.take(o.Workload) {
		return
	}
	defer p.conns.give(o.Workload)
	s := &stream{p: p, ctx: ctx, conn: c, origin: o, slots: make(chan struct{}, p.cfg.Limits.Pipelined)}
	s.origin.send = s.send
	defer s.closeServer()
	s.read()
	// The client may have closed its half only: every question still gets its answer, in the time
	// that bounds each of them.
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
}

// read takes questions until there are no more. A whole message has to come within the idle time.
func (s *stream) read() {
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(s.p.cfg.Timeouts.Idle)); err != nil {
			return
		}
		msg, err := readFrame(s.conn)
		if err != nil {
			return
		}
		if h, ok := readHeader(msg); !ok || h.response() {
			return
		}
		s.slots <- struct{}{}
		if x := s.p.accept(s.ctx, msg, s.origin); x != nil {
			s.forward(x)
		}
	}
}

// send writes an answer and frees its question's slot. A client that does not read loses its
// connection.
func (s *stream) send(msg []byte) {
	defer func() { <-s.slots }()
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.p.cfg.Timeouts.Query))
	if err := writeFrame(s.conn, msg); err != nil {
		s.conn.Close()
	}
}

// serverStream is a connection to a server for one client's connection.
type serverStream struct {
	conn    net.Conn
	writing sync.Mutex
	pending pending
}

// forward sends x to the server, or ends it.
func (s *stream) forward(x *exchange) {
	u, err := s.dial()
	if err != nil {
		x.fail("server cannot be reached")
		return
	}
	id, ok := u.pending.add(x)
	if !ok {
		x.fail("server closed the connection")
		return
	}
	// A copy, since u's reader may send x once more while this is being written.
	msg := slices.Clone(x.msg)
	binary.BigEndian.PutUint16(msg, id)
	u.writing.Lock()
	defer u.writing.Unlock()
	_ = u.conn.SetWriteDeadline(time.Now().Add(s.p.cfg.Timeouts.Query))
	if err := writeFrame(u.conn, msg); err != nil {
		u.conn.Close() // its reader sees to the questions
	}
}

// dial returns the connection to the server, which it opens when there is none.
func (s *stream) dial() (*serverStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	if s.server != nil {
		return s.server, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.p.cfg.Timeouts.Query)
	defer cancel()
	d := net.Dialer{Control: s.p.cfg.Control}
	c, err := d.DialContext(ctx, "tcp", s.origin.Server.String())
	if err != nil {
		return nil, err
	}
	u := &serverStream{conn: c}
	s.server = u
	s.p.running.Go(func() { s.readServer(u) })
	return u, nil
}

// readServer takes the answers of u until it is closed. A server may close a connection that it
// finds idle just when a question comes: what has no answer is asked once more.
func (s *stream) readServer(u *serverStream) {
	defer context.AfterFunc(s.ctx, func() { u.conn.Close() })()
	for {
		msg, err := readFrame(u.conn)
		if err != nil {
			break
		}
		if x := u.pending.take(msg); x != nil {
			x.answer(msg)
		}
	}
	u.conn.Close()
	s.mu.Lock()
	if s.server == u {
		s.server = nil
	}
	s.mu.Unlock()
	for _, x := range u.pending.drain(true) {
		if x.retried || x.ended.Load() {
			x.fail("server closed the connection")
			continue
		}
		x.retried = true
		s.forward(x)
	}
}

// closeServer closes the connection to the server for good.
func (s *stream) closeServer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.server != nil {
		s.server.conn.Close()
	}
}

// readFrame reads one message after its length (RFC 1035, 4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(r, msg); err != nil {
		return nil, err
	}
	return msg, nil
}

// writeFrame writes one message with its length, in one piece.
func writeFrame(w io.Writer, msg []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(msg)), uint16(len(msg))), msg...))
	return err
}
