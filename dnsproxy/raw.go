// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// rawSender sends UDP datagrams from any address and port, so that an answer comes from where its
// question went. Raw sockets need no bind: they collide with no server of the node, take no
// packet away from the listeners and never see an ICMP error.
type rawSender struct {
	mu     sync.RWMutex
	v4, v6 int // -1 when closed
}

// newRawSender opens the sockets, whose packets carry mark.
func newRawSender(mark uint32) (*rawSender, error) {
	s := &rawSender{v4: -1, v6: -1}
	for family, fd := range map[int]*int{unix.AF_INET: &s.v4, unix.AF_INET6: &s.v6} {
		made, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("open raw socket for answers: %w", err)
		}
		*fd = made
		if err := setMark(made, mark); err != nil {
			s.close()
			return nil, fmt.Errorf("mark raw socket for answers: %w", err)
		}
	}
	return s, nil
}

func (s *rawSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range []*int{&s.v4, &s.v6} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// Header lengths in octets.
const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
)

// send sends payload in one packet. It does not wait: like any datagram, it may be lost.
func (s *rawSender) send(from, to netip.AddrPort, payload []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.v4 < 0 {
		return unix.EBADF
	}
	if to.Addr().Is4() {
		pkt := ipv4Packet(from, to, payload)
		return unix.Sendto(s.v4, pkt, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()})
	}
	pkt := ipv6Packet(from, to, payload)
	return unix.Sendto(s.v6, pkt, 0, &unix.SockaddrInet6{Addr: to.Addr().As16(), ZoneId: zoneID(to.Addr())})
}

// ipv4Packet leaves the identification and the header's checksum to the kernel (raw(7)).
func ipv4Packet(from, to netip.AddrPort, payload []byte) []byte {
	pkt := make([]byte, ipv4Header+udpHeader+len(payload))
	src, dst := from.Addr().As4(), to.Addr().As4()
	pkt[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(pkt[2:], uint16(len(pkt)))
	pkt[8], pkt[9] = 64, program.ProtoUDP
	copy(pkt[12:], src[:])
	copy(pkt[16:], dst[:])
	putUDP(pkt[ipv4Header:], from, to, payload)
	return pkt
}

func ipv6Packet(from, to netip.AddrPort, payload []byte) []byte {
	pkt := make([]byte, ipv6Header+udpHeader+len(payload))
	src, dst := from.Addr().As16(), to.Addr().As16()
	pkt[0] = 6 << 4
	binary.BigEndian.PutUint16(pkt[4:], uint16(udpHeader+len(payload)))
	pkt[6], pkt[7] = program.ProtoUDP, 64
	copy(pkt[8:], src[:])
	copy(pkt[24:], dst[:])
	putUDP(pkt[ipv6Header:], from, to, payload)
	return pkt
}

// putUDP writes a UDP header and payload into b, which is as long as both.
func putUDP(b []byte, from, to netip.AddrPort, payload []byte) {
	binary.BigEndian.PutUint16(b[0:], from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	copy(b[udpHeader:], payload)
	sum := sum16(from.Addr().AsSlice()) + sum16(to.Addr().AsSlice()) + program.ProtoUDP + uint32(len(b)) + sum16(b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum == 0xffff { // a checksum of zero would mean that there is none
		sum = 0
	}
	binary.BigEndian.PutUint16(b[6:], ^uint16(sum))
}

// sum16 adds the 16-bit words of b, a last odd octet padded with zero. It holds for what fits a
// datagram.
func sum16(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}
