// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

const serverVariable = "MPOL_TEST_SERVER"

// startProxy starts a process that stands where a proxy of ours stands: transparent listeners on
// port of both loopback addresses, TCP and UDP, in a cgroup of its own. To whoever comes it says
// whom it took for the client and for the server: "proxy: CLIENT to SERVER".
func startProxy(t *testing.T, host *lab.Host, cgroup *lab.Cgroup, mark uint32, port uint16) {
	t.Helper()
	startServer(t, host, cgroup, "proxy", mark, port)
}

// startServer starts a server process: a proxy, or one that says greeting on every address.
func startServer(t *testing.T, host *lab.Host, cgroup *lab.Cgroup, greeting string, mark uint32, port uint16) {
	t.Helper()
	cmd := host.Command(t.Context(), os.Args[0], "-test.run=^TestServer$")
	cmd.Cgroup = cgroup
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", serverVariable, greeting, mark, port))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("server said %q, %v; want ready", line, err)
	}
}

// TestServer is the process of startServer; without the variable it has nothing to do.
func TestServer(t *testing.T) {
	words := strings.Fields(os.Getenv(serverVariable))
	if len(words) != 3 {
		return
	}
	greeting, port := words[0], words[2]
	mark, err := strconv.Atoi(words[1])
	if err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	addresses := []string{":" + port}
	if greeting == "proxy" {
		config.Control = func(_, _ string, raw syscall.RawConn) error { return transparent(raw, mark) }
		addresses = []string{"127.0.0.1:" + port, "[::1]:" + port}
	}
	for _, address := range addresses {
		listener, err := config.Listen(context.Background(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		go accept(listener, greeting)
		packets, err := config.ListenPacket(context.Background(), "udp", address)
		if err != nil {
			t.Fatal(err)
		}
		if greeting == "proxy" {
			go answer(config, packets.(*net.UDPConn))
		}
	}
	fmt.Println("ready")
	select {} // until it is killed
}

// transparent sets what every listener of the proxies has.
func transparent(raw syscall.RawConn, mark int) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			failed = err
			return
		}
		level, allow, tell := unix.SOL_IP, unix.IP_TRANSPARENT, unix.IP_RECVORIGDSTADDR
		if domain == unix.AF_INET6 {
			level, allow, tell = unix.SOL_IPV6, unix.IPV6_TRANSPARENT, unix.IPV6_RECVORIGDSTADDR
		}
		failed = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptInt(int(fd), level, allow, 1),
			unix.SetsockoptInt(int(fd), level, tell, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark))
	})
	return errors.Join(err, failed)
}

func accept(listener net.Listener, greeting string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(conn, make([]byte, len(question)))
		text := greeting
		if greeting == "proxy" {
			text = fmt.Sprintf("proxy: %v to %v", conn.RemoteAddr(), conn.LocalAddr())
		}
		fmt.Fprint(conn, text)
		conn.Close()
	}
}

// answer gives each answer from a socket bound to the address that was asked: a packet info would
// give the address alone, and the port would be the listener's.
func answer(config net.ListenConfig, packets *net.UDPConn) {
	data, control := make([]byte, 512), make([]byte, 512)
	for {
		_, n, _, from, err := packets.ReadMsgUDPAddrPort(data, control)
		if err != nil {
			return
		}
		to, err := originalTo(control[:n])
		if err != nil {
			fmt.Fprintln(os.Stderr, "proxy:", err)
			continue
		}
		if err := answerFrom(config, to, from); err != nil {
			fmt.Fprintln(os.Stderr, "proxy:", err)
		}
	}
}

func answerFrom(config net.ListenConfig, server, client netip.AddrPort) error {
	conn, err := config.ListenPacket(context.Background(), "udp", server.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.WriteTo(fmt.Appendf(nil, "proxy: %v to %v", client, server), net.UDPAddrFromAddrPort(client))
	return err
}

// originalTo reads the address that a datagram was sent to.
func originalTo(control []byte) (netip.AddrPort, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, message := range messages {
		if to, err := unix.ParseOrigDstAddr(&message); err == nil {
			return addrPort(to), nil
		}
	}
	return netip.AddrPort{}, errors.New("no original destination")
}
