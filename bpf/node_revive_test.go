// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const talkerVariable = "MPOL_TEST_TALKER"

// talkPause is how long a talker waits between two words. It speaks until it is killed: one that ended
// would close its connections, which looks like a word.
const talkPause = 50 * time.Millisecond

// TestTalker is the process of startTalker; without the variable it has nothing to do.
func TestTalker(t *testing.T) {
	var port, mark int
	if n, _ := fmt.Sscan(os.Getenv(talkerVariable), &port, &mark); n != 2 {
		return
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return transparent(raw, mark) }}
	for _, address := range []string{"127.0.0.1", "::1"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String()
		listener, err := config.Listen(context.Background(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := config.ListenPacket(context.Background(), "udp", at)
		if err != nil {
			t.Fatal(err)
		}
		go talkTCP(listener)
		go talkUDP(packets.(*net.UDPConn), mark)
	}
	fmt.Println("ready")
	select {} // until it is killed
}

func talkTCP(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go talk(func(b []byte) { _, _ = conn.Write(b) })
	}
}

// talkUDP speaks to the first client of an IPv4 socket as the DNS proxy does: by a raw socket.
func talkUDP(packets *net.UDPConn, mark int) {
	data, control := make([]byte, 512), make([]byte, 512)
	_, n, _, from, err := packets.ReadMsgUDPAddrPort(data, control)
	if err != nil {
		return
	}
	to, err := originalTo(control[:n])
	if err != nil || !to.Addr().Is4() {
		return
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil || unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark) != nil {
		return
	}
	go talk(func(b []byte) {
		src, dst := to.Addr().As4(), from.Addr().As4()
		p := append(make([]byte, 28), b...)
		p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[12:], src[:])
		copy(p[16:], dst[:])
		binary.BigEndian.PutUint16(p[20:], to.Port())
		binary.BigEndian.PutUint16(p[22:], from.Port())
		binary.BigEndian.PutUint16(p[24:], uint16(8+len(b)))
		_ = unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: dst})
	})
}

func talk(say func([]byte)) {
	rhythm := time.NewTicker(talkPause)
	defer rhythm.Stop()
	for {
		say([]byte("tick\n"))
		<-rhythm.C
	}
}

// startTalker starts a proxy that speaks by itself, again and again.
func (n *node) startTalker(port uint16) {
	n.t.Helper()
	cmd := n.Node.Command(n.t.Context(), os.Args[0], "-test.run=^TestTalker$")
	cmd.Cgroup = n.proxy
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", talkerVariable, port, n.cfg.Steering.Marks.Upstream))
	out, err := cmd.StdoutPipe()
	n.must(err)
	n.must(cmd.Start())
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		n.t.Fatalf("talker said %q, %v", line, err)
	}
}

// A proxy that goes on speaking to its client does not bring a flow back that a generation ended.
func TestProxyRevivesNoFlow(t *testing.T) {
	n := newNode(t, nil)
	w1 := n.Workloads[0]
	n.startTalker(nodeL7Port)
	n.startTalker(nodeDNSPort)
	allowed := proxied
	for network, to := range map[string]netip.AddrPort{
		"tcp4": netip.AddrPortFrom(n.C.IPv4, 80), "tcp6": netip.AddrPortFrom(n.C.IPv6, 80),
		"udp4": netip.AddrPortFrom(n.Resolver4, 53),
	} {
		n.apply(allowed)
		conn, err := w1.Dial(t.Context(), network[:3], to)
		n.must(err)
		defer conn.Close()
		_, err = conn.Write([]byte(question))
		n.must(err)
		n.must(conn.SetReadDeadline(time.Now().Add(nodeSilence)))
		buffer := make([]byte, 5)
		for range 3 {
			if _, err := io.ReadFull(conn, buffer); err != nil {
				t.Fatalf("%s, before: %v", network, err)
			}
		}
		n.apply(strings.Replace(allowed, "policy w1 for w1 {", "policy w1 for w1 { egress none }\npolicy former for w3 {", 1))
		// What was received before the switch may still wait in the socket.
		n.must(conn.SetReadDeadline(time.Now().Add(talkPause / 2)))
		for err = error(nil); err == nil; {
			_, err = conn.Read(buffer)
		}
		n.must(conn.SetReadDeadline(time.Now().Add(nodeSilence)))
		size, err := conn.Read(buffer)
		if size > 0 || errors.Is(err, io.EOF) {
			t.Errorf("%s, after it was denied: %q, %v", network, buffer[:size], err)
		}
	}
}
