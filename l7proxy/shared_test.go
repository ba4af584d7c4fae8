// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// TestListenersAreNotShared asks for a listener's port with SO_REUSEPORT, as a process of the same
// user might to get some of the connections.
func TestListenersAreNotShared(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a")})
	port, ok := p.Port("k")
	if !ok {
		t.Fatal("the profile has no port")
	}
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(controlErr, err)
	}}
	for _, ip := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		l, err := share.Listen(context.Background(), "tcp", netip.AddrPortFrom(ip, port).String())
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("listen beside Envoy on %s: %v, want that the address is in use", ip, err)
		}
		if err == nil {
			l.Close()
		}
		free, err := share.Listen(context.Background(), "tcp", netip.AddrPortFrom(ip, 0).String())
		if err != nil {
			t.Errorf("listen on a free port of %s: %v", ip, err)
			continue
		}
		free.Close()
	}
}
