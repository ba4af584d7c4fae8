// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// maxQuestion is the largest message that a client may send over UDP.
const maxQuestion = 4096

// serveUDP reads one listening socket until ctx is done.
func (p *Proxy) serveUDP(ctx context.Context, c *net.UDPConn) error {
	buf, oob := make([]byte, maxQuestion), make([]byte, 256)
	for {
		n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(buf, oob)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read DNS questions at %v: %w", c.LocalAddr(), err)
		case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
			continue
		}
		if sent, ok := originalDst(oob[:oobn]); ok {
			p.datagram(ctx, slices.Clone(buf[:n]), unmap(from), unmap(sent))
		}
	}
}

// datagram handles one datagram, which it keeps.
func (p *Proxy) datagram(ctx context.Context, msg []byte, from, sent netip.AddrPort) {
	o := origin{proto: program.ProtoUDP, client: from, sent: sent}
	o.Client, o.known = p.cfg.Client(o.proto, from, sent)
	o.send = func(msg []byte) {
		// A datagram that cannot be sent is a datagram lost: the client asks again.
		_ = p.raw.send(sent, from, msg)
	}
	if x := p.accept(ctx, msg, o); x != nil {
		p.servers.forward(x)
	}
}
