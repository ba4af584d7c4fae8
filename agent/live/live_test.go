// SPDX-License-Identifier: Apache-2.0

package live

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/compiler/verdict"
)

// connect returns both ends of a connection over loopback.
func connect(t *testing.T, address string) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func TestEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("ending sockets of others needs root; run the tests as root")
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			s := New()
			add := func(name string) (client net.Conn) {
				client, server := connect(t, address)
				c := Conn{Client: addrPort(client.LocalAddr()), Server: addrPort(server.LocalAddr())}
				s.Add(c, verdict.Flow{TLS: &verdict.TLS{ServerName: name, Present: true}})
				return client
			}
			kept, ended := add("kept.example"), add("ended.example")
			forbidden := func(_ Conn, f verdict.Flow) bool { return f.TLS.ServerName == "ended.example" }
			for range 2 { // the second time it has ended already
				if err := s.End(forbidden); err != nil {
					t.Fatal(err)
				}
			}
			if err := ended.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := ended.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("read on the forbidden connection: %v, want a reset", err)
			}
			if _, err := kept.Write([]byte("x")); err != nil {
				t.Errorf("write on the other connection: %v", err)
			}
		})
	}
}

func TestEndOfEnded(t *testing.T) {
	s := New()
	s.Add(Conn{Client: netip.MustParseAddrPort("127.0.0.1:1"), Server: netip.MustParseAddrPort("127.0.0.1:2")}, verdict.Flow{})
	if err := s.End(func(Conn, verdict.Flow) bool { return true }); err != nil {
		t.Errorf("End of a connection that is gone: %v", err)
	}
}
