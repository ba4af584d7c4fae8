// SPDX-License-Identifier: Apache-2.0

// Package live remembers the TLS connections that the L7 proxy has let through, so that a new
// generation can end those that it forbids.
//
// The proxy judges a connection once, by its server name; the kernel judges the flow again, but
// sees no name. What is between, the agent does with this package. It decides nothing: the caller
// brings the verdict. Requests of HTTP are judged one by one and need none of this.
//
//	conns := live.New()
//	conns.Add(live.Conn{Client: c, Server: s}, flow)
//	err := conns.End(func(c live.Conn, f verdict.Flow) bool { return denied(f) })
//
// Invariants: a connection that End has passed and that the verdict forbids is gone; one that ended
// by itself is no error.
package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mpol/compiler/verdict"
)

// Conn names a connection by the addresses that the client sees.
type Conn struct {
	Client, Server netip.AddrPort
}

// Set is the connections that are open. It is safe for concurrent use.
type Set struct {
	mu    sync.Mutex
	conns map[Conn]verdict.Flow
}

// New returns an empty set.
func New() *Set { return &Set{conns: map[Conn]verdict.Flow{}} }

// Add remembers a connection and what it was judged by.
func (s *Set) Add(c Conn, f verdict.Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = f
}

// Remove forgets a connection that has ended.
func (s *Set) Remove(c Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// End ends every connection that is forbidden, in the network namespace of the calling thread.
func (s *Set) End(forbidden func(Conn, verdict.Flow) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for c, f := range s.conns {
		if !forbidden(c, f) {
			continue
		}
		if err := destroy(c.Server, c.Client); err != nil {
			errs = append(errs, fmt.Errorf("end the connection of %s to %s: %w", c.Client, c.Server, err))
			continue
		}
		delete(s.conns, c)
	}
	return errors.Join(errs...)
}

// request is struct inet_diag_req_v2 of linux/inet_diag.h.
type request struct {
	local, remote netip.AddrPort
}

// Len implements nl.NetlinkRequestData.
func (request) Len() int { return 56 }

// Serialize implements nl.NetlinkRequestData.
func (r request) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = unix.AF_INET6, unix.IPPROTO_TCP
	if r.local.Addr().Is4() {
		b[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0)) // every state
	binary.BigEndian.PutUint16(b[8:], r.local.Port())
	binary.BigEndian.PutUint16(b[10:], r.remote.Port())
	copy(b[12:28], r.local.Addr().AsSlice())
	copy(b[28:44], r.remote.Addr().AsSlice())
	binary.NativeEndian.PutUint64(b[48:], ^uint64(0)) // whatever cookie
	return b
}

// destroy aborts the TCP socket with these ends; its peer gets an RST.
func destroy(local, remote netip.AddrPort) error {
	req := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
	req.AddData(request{
		netip.AddrPortFrom(local.Addr().Unmap(), local.Port()),
		netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()),
	})
	_, err := req.Execute(unix.NETLINK_INET_DIAG, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
