// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

// probe is one use of a socket by a process of its own, born in a cgroup of the lab.
type probe struct {
	Type   int            // unix.SOCK_STREAM or SOCK_DGRAM
	Family int            // of the socket; 0: that of To
	Device string         // SO_BINDTODEVICE
	Late   bool           // sets Device once it is connected
	Source netip.AddrPort // bind
	Free   bool           // IPV6_FREEBIND: Source need not be the node's
	To     netip.AddrPort // an IPv4 address in an AF_INET6 socket is given as v4-mapped
	Send   bool           // sendto without connect; of TCP that is Fast Open
	Proto  int            // 0: the usual one of Type and Family
	Mark   int            // SO_MARK
	Before netip.AddrPort // connect there first, then AF_UNSPEC
	Move   string         // path of a cgroup to go to once the socket is made
}

// outcome is what the process saw.
type outcome struct {
	Step  string // that failed: connect, send or receive; empty on success
	Errno unix.Errno
	Local netip.AddrPort
	Peer  netip.AddrPort // getpeername, of connected sockets
	From  netip.AddrPort // sender of the datagram received
	Reply string
}

// String is for messages of tests.
func (o outcome) String() string {
	if o.Step != "" {
		return fmt.Sprintf("%s: %v", o.Step, o.Errno)
	}
	return fmt.Sprintf("local %v, peer %v, from %v: %q", o.Local, o.Peer, o.From, o.Reply)
}

// question is what a probe sends.
const question = "question"

const probeVariable = "MPOL_TEST_PROBE"

// run runs p in a cgroup of the host and waits for its outcome.
func (p probe) run(t *testing.T, host *lab.Host, cgroup *lab.Cgroup) outcome {
	t.Helper()
	request, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := host.Command(t.Context(), os.Args[0], "-test.run=^TestProbe$")
	cmd.Cgroup = cgroup
	cmd.Env = append(os.Environ(), probeVariable+"="+string(request))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("probe %+v: %v: %s", p, err, out)
	}
	var got outcome
	line, _, _ := strings.Cut(string(out), "\n")
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("probe %+v: %v: %s", p, err, out)
	}
	return got
}

// TestProbe is the process of a probe; without one it has nothing to do.
func TestProbe(t *testing.T) {
	request := os.Getenv(probeVariable)
	if request == "" {
		return
	}
	var p probe
	if err := json.Unmarshal([]byte(request), &p); err != nil {
		t.Fatal(err)
	}
	got, err := p.use()
	if err != nil && !errors.As(err, &got.Errno) {
		t.Fatal(err)
	}
	if err == nil {
		got.Step = ""
	}
	line, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", line)
}

// use returns how far it came: Step names what failed.
func (p probe) use() (got outcome, err error) {
	if p.Family == 0 {
		p.Family = unix.AF_INET6
		if p.To.Addr().Is4() {
			p.Family = unix.AF_INET
		}
	}
	got.Step = "open"
	fd, err := unix.Socket(p.Family, p.Type|unix.SOCK_CLOEXEC, p.Proto)
	if err != nil {
		return got, err
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(700 * time.Millisecond))
	if err := errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)); err != nil {
		return got, err
	}
	if p.Move != "" {
		if err := os.WriteFile(p.Move+"/cgroup.procs", []byte("0"), 0); err != nil {
			return got, err
		}
	}
	if p.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, p.Mark); err != nil {
			return got, err
		}
	}
	if p.Device != "" && !p.Late {
		if err := unix.BindToDevice(fd, p.Device); err != nil {
			return got, err
		}
	}
	if p.Free {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
			return got, err
		}
	}
	if p.Source.IsValid() {
		if err := unix.Bind(fd, sockaddr(p.Source)); err != nil {
			return got, err
		}
	}
	return p.exchange(fd, got)
}

func (p probe) exchange(fd int, got outcome) (outcome, error) {
	if p.Before.IsValid() {
		got.Step = "connect before"
		if err := unix.Connect(fd, sockaddr(p.Before)); err != nil {
			return got, err
		}
		// struct sockaddr with AF_UNSPEC: x/sys has no type for it.
		nowhere := [16]byte{}
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), 16)
		if errno != 0 {
			return got, errno
		}
	}
	if !p.Send {
		got.Step = "connect"
		if err := unix.Connect(fd, sockaddr(p.To)); err != nil {
			return got, err
		}
		peer, err := unix.Getpeername(fd)
		if err != nil {
			return got, err
		}
		got.Peer = addrPort(peer)
	}
	if p.Late {
		if err := unix.BindToDevice(fd, p.Device); err != nil {
			return got, err
		}
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return got, err
	}
	got.Local = addrPort(local)
	got.Step = "send"
	if p.Send {
		flags := 0
		if p.Type == unix.SOCK_STREAM {
			flags = unix.MSG_FASTOPEN
		}
		err = unix.Sendto(fd, []byte(question), flags, sockaddr(p.To))
	} else {
		_, err = unix.Write(fd, []byte(question))
	}
	if err != nil {
		return got, err
	}
	got.Step = "receive"
	buffer := make([]byte, 512)
	n, from, err := unix.Recvfrom(fd, buffer, 0)
	if err != nil {
		return got, err
	}
	got.Reply = string(buffer[:n])
	if from != nil {
		got.From = addrPort(from)
	}
	return got, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
