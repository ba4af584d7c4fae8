// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Listen opens a TCP listener of this process in the host's namespace. Like all sockets of
// this file it belongs to the cgroup of this process, not to the lab's. The caller closes it.
func (h *Host) Listen(address netip.AddrPort) (listener net.Listener, err error) {
	err = h.Do(func() error {
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", h.Name, err)
	}
	return listener, nil
}

// ListenPacket opens a UDP socket of this process in the host's namespace.
func (h *Host) ListenPacket(address netip.AddrPort) (conn *net.UDPConn, err error) {
	err = h.Do(func() error {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", h.Name, err)
	}
	return conn, nil
}

// Dial connects this process from the host's namespace; network is "tcp" or "udp". It takes an
// address and no name: the resolver of the Go library would ask from another namespace.
func (h *Host) Dial(ctx context.Context, network string, address netip.AddrPort) (conn net.Conn, err error) {
	err = h.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", h.Name, err)
	}
	return conn, nil
}
