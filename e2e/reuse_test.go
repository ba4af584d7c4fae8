// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNames_sharedPort shares the port of a DNS proxy that lives: the kernel would spread questions
// over all sockets of a user that share one.
func TestNames_sharedPort(t *testing.T) {
	t.Parallel()
	n := named(t, "")
	var stolen atomic.Int64
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		lost := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if lost != nil {
			return lost
		}
		return err
	}}
	for _, to := range []string{"127.0.0.1:15053", "[::1]:15053"} {
		var packets net.PacketConn
		var listener net.Listener
		err := n.World.Node.Do(func() (err error) {
			packets, err = share.ListenPacket(context.Background(), "udp", to)
			return err
		})
		if err != nil {
			continue // the kernel refuses to share it
		}
		t.Cleanup(func() { packets.Close() })
		go func() {
			for buffer := make([]byte, 512); ; stolen.Add(1) {
				if _, _, err := packets.ReadFrom(buffer); err != nil {
					return
				}
			}
		}()
		check(t, n.World.Node.Do(func() (err error) {
			listener, err = share.Listen(context.Background(), "tcp", to)
			return err
		}))
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				stolen.Add(1)
				c.Close()
			}
		}()
	}
	for who, c := range clients(n) {
		for version, f := range families(n) {
			for i := range 8 {
				for _, transport := range []string{"+notcp", "+tcp"} {
					got := dig(t, c, f.resolver, fmt.Sprintf("n%d.many.example", i), f.kind, transport, "+timeout=1", "+tries=1")
					compare(t, step{fmt.Sprintf("%s %s %s %d", who, version, transport, i), got, "1 address"})
				}
			}
		}
	}
	if stolen.Load() != 0 {
		t.Errorf("the stranger got %d questions, want none", stolen.Load())
	}
}
