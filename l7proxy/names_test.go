// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// secureOrigin is a TLS server that sends one line and then echoes.
func secureOrigin(t testing.TB, ip string) netip.AddrPort {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(ip, "0"), &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.WriteString(conn, "hello\n")
				io.Copy(conn, conn)
			}()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

func namesProfile(key string, deny, allow []program.RequestRule) program.Profile {
	return program.Profile{Key: key, Kind: program.L7TLS, Egress: half(deny, allow)}
}

func sni(key string, patterns ...program.NamePattern) program.RequestRule {
	return program.RequestRule{Rule: key, SNI: patterns}
}

// slow writes each byte in a segment of its own.
type slow struct{ net.Conn }

func (s slow) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// fragments writes the first TLS record as records of at most 20 bytes.
type fragments struct {
	net.Conn
	done bool
}

func (f *fragments) Write(b []byte) (int, error) {
	const header = 5
	if f.done || len(b) < header {
		return f.Conn.Write(b)
	}
	f.done = true
	var out bytes.Buffer
	for rest := b[header:]; len(rest) > 0; {
		n := min(20, len(rest))
		out.Write([]byte{b[0], b[1], b[2], 0, byte(n)})
		out.Write(rest[:n])
		rest = rest[n:]
	}
	if _, err := f.Conn.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// hello makes a TLS connection and reads the server's line.
func (p *proxy) hello(key string, server netip.AddrPort, name string, wrap func(net.Conn) net.Conn) (*tls.Conn, error) {
	conn, err := p.dial(key, server)
	if err != nil {
		return nil, err
	}
	if wrap != nil {
		conn = wrap(conn)
	}
	return p.handshake(conn, name)
}

func (p *proxy) handshake(conn net.Conn, name string) (*tls.Conn, error) {
	client := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	text := make([]byte, len("hello\n"))
	if _, err := io.ReadFull(client, text); err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

func TestNames(t *testing.T) {
	t.Parallel() // it waits much and works little
	p := newProxy(t)
	p.apply("1", []program.Profile{
		namesProfile("allow", nil, []program.RequestRule{sni("shop.pay.stripe", "*.example", "a.b.example")}),
		namesProfile("deny", []program.RequestRule{sni("shop.pay.evil", "evil.example")},
			[]program.RequestRule{{Rule: "shop.pay.every", Every: true}}),
		namesProfile("peer", nil, []program.RequestRule{{
			Rule: "shop.pay.peer", Every: true,
			Names: &program.Domain{Patterns: []program.NamePattern{"**.example"}, Except: []program.NamePattern{"no.example"}},
		}}),
	})
	oneByte := func(c net.Conn) net.Conn { c.(*net.TCPConn).SetNoDelay(true); return slow{c} }
	records := func(c net.Conn) net.Conn { return &fragments{Conn: c} }
	for _, ip := range []string{server4, server6} {
		server := secureOrigin(t, ip)
		for _, c := range []struct {
			key, number, name string
			wrap              func(net.Conn) net.Conn
			ok                bool
		}{
			{"allow", "l7-0", "x.example", nil, true},
			{"allow", "l7-0", "a.b.example", nil, true},
			{"allow", "l7-0", "other.test", nil, false},
			{"allow", "l7-0", "c.b.example", nil, false},
			{"allow", "l7-0", "example", nil, false},
			{"allow", "l7-69", "x.example", oneByte, true},
			{"allow", "l7-69", "other.test", oneByte, false},
			{"allow", "l7-70", "x.example", records, true},
			{"allow", "l7-70", "other.test", records, false},
			{"allow", "l7-72", "", nil, false},
			{"allow", "l7-73", "X.EXAMPLE", nil, true},
			{"deny", "l7-0", "good.example", nil, true},
			{"deny", "l7-0", "evil.example", nil, false},
			{"deny", "l7-72", "", nil, false},
			{"deny", "l7-73", "EVIL.example", nil, false},
			{"peer", "l7-0", "x.example", nil, true},
			{"peer", "l7-0", "no.example", nil, false},
			{"peer", "l7-0", "x.test", nil, false},
		} {
			t.Run(fmt.Sprintf("%s/%s/%s/%q", c.number, ip, c.key, c.name), func(t *testing.T) {
				conn, err := p.hello(c.key, server, c.name, c.wrap)
				if (err == nil) != c.ok {
					t.Errorf("hello to %q through %s = %v, want ok %v", c.name, c.key, err, c.ok)
				}
				if conn != nil {
					conn.Close()
				}
			})
		}
		p.wantUnreadable(t, server)
		p.wantNamesReported(t, server)
	}
}

// wantUnreadable sends what is no hello.
func (p *proxy) wantUnreadable(t *testing.T, server netip.AddrPort) {
	for number, text := range map[string]string{
		"l7-76": "GET / HTTP/1.1\r\nHost: x.example\r\n\r\n", "l7-71": "\x16\x03\x01\x3f\xff\x02garbage",
	} {
		t.Run(number+"/"+server.Addr().String(), func(t *testing.T) {
			if got, err := p.raw("deny", server, text); err == nil || errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("%q through a profile for TLS = %v, %v, want the connection closed", text, got, err)
			}
		})
	}
}

// wantNamesReported reads what the log says of the names of TestNames.
func (p *proxy) wantNamesReported(t *testing.T, server netip.AddrPort) {
	t.Helper()
	r := p.reported(func(r Request) bool { return r.Server == server && r.SNI == "other.test" })
	if !r.Denied || r.Half != "egress" || r.Profile != "allow" || r.Rule != "" || r.Generation != "1" {
		t.Errorf("reported %+v", r)
	}
	r = p.reported(func(r Request) bool { return r.Server == server && r.SNI == "evil.example" })
	if !r.Denied || r.Rule != "shop.pay.evil" || r.Profile != "deny" {
		t.Errorf("reported %+v", r)
	}
	r = p.reported(func(r Request) bool { return r.Server == server && r.Opened && r.SNI == "a.b.example" })
	if r.Denied || r.Rule != "shop.pay.stripe" || r.Generation != "1" {
		t.Errorf("reported %+v", r)
	}
	p.reported(func(r Request) bool { return r.Server == server && r.Denied && r.Rule == "refused:hello" })
	p.mu.Lock()
	for _, r := range p.events {
		if r.Opened && (r.SNI == "other.test" || r.SNI == "evil.example") {
			t.Errorf("a server was connected to for a refused name: %+v", r)
		}
	}
	p.mu.Unlock()
}

// TestNamesOpenSSL lets another TLS implementation knock.
func TestNamesOpenSSL(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{
		namesProfile("allow", nil, []program.RequestRule{sni("shop.pay.stripe", "*.example")}),
	})
	server := secureOrigin(t, server4)
	port, _ := p.Port("allow")
	// openssl cannot mark its socket: what goes to this one server is redirected by address here, from
	// ports that nobody is given by chance.
	rule := fmt.Sprintf("add rule inet l7test prerouting meta mark 0 iif lo ip saddr %s ip daddr %s tcp dport %d tcp sport 31000-31100 tproxy ip to 127.0.0.1:%d",
		client4, server.Addr(), server.Port(), port)
	if out, err := exec.Command("nft", rule).CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	const (
		passed   = "BEGIN CERTIFICATE"
		answered = "alert decode error" // by the server of the test, which dislikes the name
		refused  = "read 0 bytes"
	)
	for i, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-servername", "x.example"}, passed},
		{[]string{"-servername", "X.Example"}, passed},
		{[]string{"-servername", "x.example."}, answered}, // a trailing dot is dropped, as in every name
		{[]string{"-servername", "other.test"}, refused},
		{[]string{"-servername", server4}, refused},
		{[]string{"-noservername"}, refused},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			args := append([]string{
				"s_client", "-connect", server.String(),
				"-bind", fmt.Sprintf("%s:%d", client4, 31000+i),
			}, c.args...)
			out, err := exec.Command("openssl", args...).CombinedOutput()
			if !bytes.Contains(out, []byte(c.want)) {
				t.Errorf("openssl %v: want %q (%v)\n%s", c.args, c.want, err, out)
			}
		})
	}
}
