// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Echo sends back what it receives, by TCP and by UDP, for live connections and datagrams.
type Echo struct {
	received atomic.Int64

	mu      sync.Mutex
	open    map[io.Closer]bool
	stopped bool
	done    sync.WaitGroup
}

// Echo starts an echo server on both protocols of each address. The lab closes it.
func (h *Host) Echo(addresses ...netip.AddrPort) (*Echo, error) {
	e := &Echo{open: make(map[io.Closer]bool)}
	for _, address := range addresses {
		if err := e.serve(h, address); err != nil {
			return nil, fmt.Errorf("start echo server: %w", errors.Join(err, e.Close()))
		}
	}
	return e, h.lab.onClose(e.Close)
}

func (e *Echo) serve(h *Host, address netip.AddrPort) error {
	listener, err := h.Listen(address)
	if err != nil {
		return err
	}
	e.run(listener, func() { e.accept(listener) })
	packets, err := h.ListenPacket(address)
	if err != nil {
		return err
	}
	e.run(packets, func() { e.answer(packets) })
	return nil
}

// run calls fn in a goroutine that Close ends by closing what it works on.
func (e *Echo) run(on io.Closer, fn func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		on.Close()
		return
	}
	e.open[on] = true
	e.done.Add(1)
	go func() {
		defer e.done.Done()
		fn()
		on.Close()
		e.mu.Lock()
		delete(e.open, on)
		e.mu.Unlock()
	}()
}

func (e *Echo) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		e.run(conn, func() { _, _ = io.Copy(conn, io.TeeReader(conn, (*counter)(&e.received))) })
	}
}

func (e *Echo) answer(packets *net.UDPConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := packets.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error to an earlier answer
		}
		e.received.Add(int64(n))
		_, _ = packets.WriteToUDPAddrPort(buffer[:n], from)
	}
}

// Received is the number of bytes that arrived so far.
func (e *Echo) Received() int64 { return e.received.Load() }

// Close ends the server with its connections and waits for its goroutines.
func (e *Echo) Close() error {
	e.mu.Lock()
	e.stopped = true
	for closer := range e.open {
		closer.Close()
	}
	e.mu.Unlock()
	e.done.Wait()
	return nil
}

// counter counts what is written to it.
type counter atomic.Int64

func (c *counter) Write(data []byte) (int, error) {
	(*atomic.Int64)(c).Add(int64(len(data)))
	return len(data), nil
}
