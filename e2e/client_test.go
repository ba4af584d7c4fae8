// SPDX-License-Identifier: Apache-2.0

package e2e

import (
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
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

// clientVerb as its first argument makes this program a client: so it can run in a cgroup.
const clientVerb = "client"

// patience is how long a client waits before it says that nothing came back.
const patience = 2 * time.Second

// attempt tries what the arguments say and returns how it came out.
func attempt(args []string) string {
	switch args[0] {
	case "tcp", "udp":
		return tryEcho(args[0], args[1], "echo\n")
	case "large":
		return tryEcho("udp", args[1], strings.Repeat("fragment", 400))
	case "near":
		return tryNear(args[1])
	case "spoof":
		return trySpoof(args[1], args[2])
	case "mapped":
		return tryMapped(args[1])
	case "mapped-sendto", "mapped-connect":
		return tryMappedQuestion(args[0] == "mapped-connect", args[1], args[2])
	case "storm":
		times, err := strconv.Atoi(args[4])
		if err != nil {
			return err.Error()
		}
		return storm(args[1], args[2], args[3], times)
	}
	return "no such attempt: " + args[0]
}

// client makes an attempt from a host: of this process, in the host's network namespace, or for a
// host workload of a process in its cgroup.
func client(t *testing.T, c lab.Client, args ...string) string {
	t.Helper()
	if c.Cgroup != nil {
		out, err := c.Command(t.Context(), os.Args[0], append([]string{clientVerb}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	var outcome string
	check(t, c.Host.Do(func() error {
		outcome = attempt(args)
		return nil
	}))
	return outcome
}

// tcp sends a line over a new connection to an echo server.
func tcp(t *testing.T, c lab.Client, to netip.AddrPort) string {
	t.Helper()
	return client(t, c, "tcp", to.String())
}

// udp sends a datagram to an echo server.
func udp(t *testing.T, c lab.Client, to netip.AddrPort) string {
	t.Helper()
	return client(t, c, "udp", to.String())
}

func tryEcho(network, to, text string) string {
	conn, err := net.DialTimeout(network, to, patience)
	if err != nil {
		return failure(err)
	}
	defer conn.Close()
	return exchange(conn, text)
}

// exchange sends a text and waits for it to come back.
func exchange(conn net.Conn, text string) string {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err.Error()
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return failure(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil {
		return failure(err)
	}
	if string(got) != text {
		return fmt.Sprintf("got %.40q", got)
	}
	return lab.Answered
}

// tryNear sends a datagram that its first router must give up, and waits for what that says.
func tryNear(to string) string {
	dialer := net.Dialer{Control: func(network, _ string, c syscall.RawConn) (err error) {
		level, hops, errs := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVERR
		if network == "udp6" {
			level, hops, errs = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVERR
		}
		lost := c.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), level, hops, 1), unix.SetsockoptInt(int(fd), level, errs, 1))
		})
		return errors.Join(err, lost)
	}}
	conn, err := dialer.Dial("udp", to)
	if err != nil {
		return failure(err)
	}
	defer conn.Close()
	return exchange(conn, "near\n")
}

// trySpoof sends a datagram from an address and returns at once.
func trySpoof(from, to string) string {
	source, err := netip.ParseAddr(from)
	if err != nil {
		return err.Error()
	}
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	conn, err := dialer.Dial("udp", to)
	if err != nil {
		return failure(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("spoof\n")); err != nil {
		return failure(err)
	}
	return "sent"
}

// failure says how a connection failed in the words of package lab.
func failure(err error) string {
	for _, refused := range []error{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EACCES, syscall.EPERM,
	} {
		if errors.Is(err, refused) {
			return lab.Refused
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return lab.Silent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return lab.Closed
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return lab.Silent
	}
	return err.Error()
}

// tryMapped connects an IPv6 socket to an IPv4 address in its IPv6 form.
func tryMapped(to string) string {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err.Error()
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(patience))
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			return err.Error()
		}
	}
	err = unix.Connect(fd, &unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())})
	if errors.Is(err, unix.EINPROGRESS) {
		return lab.Silent
	}
	if err != nil {
		return failure(err)
	}
	if _, err := unix.Write(fd, []byte("echo\n")); err != nil {
		return failure(err)
	}
	got := make([]byte, 5)
	n, err := unix.Read(fd, got)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return lab.Silent
	case err != nil:
		return failure(err)
	case string(got[:n]) != "echo\n":
		return lab.Closed
	}
	return lab.Answered
}

// tryMappedQuestion asks an IPv4 resolver for a name's addresses by an IPv6 socket, connected or not.
// The answer must come from where the question went.
func tryMappedQuestion(connected bool, resolver, name string) string {
	at, err := netip.ParseAddrPort(resolver)
	if err != nil {
		return err.Error()
	}
	question := new(dns.Msg).SetQuestion(name, dns.TypeA)
	text, err := question.Pack()
	if err != nil {
		return err.Error()
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return err.Error()
	}
	to := &unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())}
	if connected {
		if err := unix.Connect(fd, to); err != nil {
			return failure(err)
		}
		_, err = unix.Write(fd, text)
	} else {
		err = unix.Sendto(fd, text, 0, to)
	}
	if err != nil {
		return failure(err)
	}
	buffer := make([]byte, 4096)
	n, from, err := unix.Recvfrom(fd, buffer, 0)
	if errors.Is(err, unix.EAGAIN) {
		return lab.Silent
	}
	if err != nil {
		return failure(err)
	}
	if source, ok := from.(*unix.SockaddrInet6); !ok || source.Addr != to.Addr || source.Port != to.Port {
		return fmt.Sprintf("an answer from %v", from)
	}
	answer := new(dns.Msg)
	if err := answer.Unpack(buffer[:n]); err != nil {
		return err.Error()
	}
	if answer.Rcode != dns.RcodeSuccess {
		return dns.RcodeToString[answer.Rcode]
	}
	return fmt.Sprintf("%d address", len(answer.Answer))
}

// storm looks names up, each the pattern with another number in it, and connects to each address at
// once. It says how many connections were made, and how the first that was not failed.
func storm(resolver, kind, pattern string, times int) string {
	name, port, _ := strings.Cut(pattern, ":")
	for i := range times {
		addr, err := lookUp(resolver, kind, fmt.Sprintf(name, i))
		if err != nil {
			return fmt.Sprintf("%d connected, then a question failed: %v", i, err)
		}
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(addr.String(), port), patience)
		if err != nil {
			return fmt.Sprintf("%d connected, then %s: %s", i, addr, failure(err))
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // leave no TIME_WAIT
		conn.Close()
	}
	return fmt.Sprintf("%d connected", times)
}

// lookUp asks for the one address of a name on a new socket.
func lookUp(resolver, kind, name string) (netip.Addr, error) {
	question := new(dns.Msg).SetQuestion(name, dns.StringToType[kind])
	asker := dns.Client{Timeout: patience}
	answer, _, err := asker.Exchange(question, resolver)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, record := range answer.Answer {
		switch r := record.(type) {
		case *dns.A:
			addr, _ := netip.AddrFromSlice(r.A)
			return addr.Unmap(), nil
		case *dns.AAAA:
			addr, _ := netip.AddrFromSlice(r.AAAA)
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no address: %s", name, dns.RcodeToString[answer.Rcode])
}
