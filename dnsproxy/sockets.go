// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketUser owns the listening sockets and is nobody's: only sockets of one user share a port, and
// root has processes without a right to our questions.
const socketUser = 0x9d706f6c

// transparent makes a listening socket take packets for addresses that are not the node's, share
// its port with the other workers and (UDP) tell where a packet was sent. Connections that it
// accepts inherit the mark.
func transparent(network string, mark uint32, c syscall.RawConn) error {
	var failed error
	set := func(fd uintptr, level, name int) {
		if failed == nil {
			failed = unix.SetsockoptInt(int(fd), level, name, 1)
		}
	}
	err := c.Control(func(fd uintptr) {
		failed = errors.Join(setMark(int(fd), mark), unix.Fchown(int(fd), socketUser, -1))
		set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
		udp := strings.HasPrefix(network, "udp")
		if strings.HasSuffix(network, "4") {
			set(fd, unix.SOL_IP, unix.IP_TRANSPARENT)
			if udp {
				set(fd, unix.SOL_IP, unix.IP_RECVORIGDSTADDR)
			}
			return
		}
		set(fd, unix.SOL_IPV6, unix.IPV6_TRANSPARENT)
		if udp {
			set(fd, unix.SOL_IPV6, unix.IPV6_RECVORIGDSTADDR)
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// setMark sets the mark of a socket's packets, unless it is 0.
func setMark(fd int, mark uint32) error {
	if mark == 0 {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark))
}

// originalDst finds where a packet was sent among its control messages: a sockaddr_in or
// sockaddr_in6, family in host order, port and address in network order (ip(7), ipv6(7)).
func originalDst(oob []byte) (netip.AddrPort, bool) {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return netip.AddrPort{}, false
		}
		switch {
		case h.Level == unix.SOL_IP && h.Type == unix.IP_RECVORIGDSTADDR && len(data) >= 8:
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(data[4:8])), binary.BigEndian.Uint16(data[2:])), true
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_RECVORIGDSTADDR && len(data) >= 24:
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(data[8:24])), binary.BigEndian.Uint16(data[2:])), true
		}
		oob = rest
	}
	return netip.AddrPort{}, false
}

// zoneID is the number of the interface that a link-local address belongs to, 0 without one.
func zoneID(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	link, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(link.Index)
}

// unmap turns an IPv4-mapped address into the IPv4 address that it is.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
