// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dial opens a connection to r.
func (r *rig) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// numbered is a framed question with an ID.
func numbered(id uint16, name string) []byte {
	m := wireQuestion(name, dns.TypeA)
	binary.BigEndian.PutUint16(m, id)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

func TestProxy_streams(t *testing.T) {
	answer := func(raw []byte) [][]byte {
		raw[2] |= 0x80
		return [][]byte{raw}
	}
	t.Run("dns-24 one octet a write", func(t *testing.T) {
		c := newRig(t, serveScript(t, answer), standard()).dial(t)
		for _, b := range numbered(7, "api.google.com") {
			if _, err := c.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := readFrame(c); err != nil || binary.BigEndian.Uint16(m) != 7 {
			t.Errorf("answer %x, %v", m, err)
		}
	})
	t.Run("dns-24 pipelined, out of order, half closed", func(t *testing.T) {
		const n = 50
		var held [][]byte
		r := newRig(t, serveScript(t, func(raw []byte) [][]byte {
			raw[2] |= 0x80
			if held = append(held, raw); len(held) < n {
				return nil
			}
			var out [][]byte
			for i := range held {
				out = append(out, held[n-1-i])
			}
			return out
		}), standard())
		c := r.dial(t)
		for i := range n {
			if _, err := c.Write(numbered(uint16(i), fmt.Sprintf("n%d.google.com", i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		seen := make(map[uint16]bool)
		for range n {
			m, err := readFrame(c)
			if err != nil {
				t.Fatalf("after %d answers: %v", len(seen), err)
			}
			id := binary.BigEndian.Uint16(m)
			if q, _, err := readQuestion(m); err != nil || q.name.labels()[0] != fmt.Sprintf("n%d", id) {
				t.Errorf("answer %d has the question %q", id, q.name)
			}
			seen[id] = true
		}
		if len(seen) != n {
			t.Errorf("%d questions were answered, want %d", len(seen), n)
		}
		if _, err := readFrame(c); err != io.EOF {
			t.Errorf("behind the last answer: %v, want the end", err)
		}
	})
	for _, c := range []struct {
		name string
		send []byte
	}{
		{"dns-24 idle", nil},
		{"dns-24 slow", []byte{0, 30, 1}},
		{"dns-24 empty message", []byte{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := newRig(t, serveScript(t, answer), standard()).dial(t)
			if _, err := conn.Write(c.send); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); err != nil {
				t.Errorf("the proxy did not close the connection: %v", err)
			}
		})
	}
	t.Run("dns-24 connections", func(t *testing.T) {
		r := newRig(t, serveScript(t, answer), standard(), func(c *Config) { c.Limits.Connections = 1 })
		first := r.dial(t)
		if _, err := first.Write(numbered(1, "api.google.com")); err != nil {
			t.Fatal(err)
		}
		if _, err := readFrame(first); err != nil {
			t.Fatal(err)
		}
		second := r.dial(t)
		if _, err := readFrame(second); err == nil {
			t.Error("a second connection was served")
		}
	})
	t.Run("server closes between questions", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if raw, err := readFrame(c); err == nil {
					_ = writeFrame(c, answer(raw)[0])
				}
				c.Close()
			}
		}()
		c := newRig(t, l.Addr().(*net.TCPAddr).AddrPort(), standard()).dial(t)
		for i := range uint16(5) {
			if _, err := c.Write(numbered(i, "api.google.com")); err != nil {
				t.Fatal(err)
			}
			if m, err := readFrame(c); err != nil || m[3]&15 != 0 {
				t.Fatalf("question %d: %x, %v", i, m, err)
			}
		}
	})
}

// TestProxy_load: questions that wait are bounded for each workload.
func TestProxy_load(t *testing.T) {
	t.Run("dns-70", func(t *testing.T) {
		r := newRig(t, serveScript(t, func([]byte) [][]byte { return nil }), standard(), func(c *Config) { c.Limits.InFlight = 2 })
		first := r.pose(t, "a.google.com")
		r.pose(t, "b.google.com")
		within(t, "two questions in flight", func() bool {
			r.inFlight.mu.Lock()
			defer r.inFlight.mu.Unlock()
			return r.inFlight.used["w1"] == 2
		})
		if got := rcodeFrom(t, r.pose(t, "c.google.com")); got != dns.RcodeServerFailure {
			t.Errorf("third question: %s, want SERVFAIL", dns.RcodeToString[got])
		}
		if got := rcodeFrom(t, first); got != dns.RcodeServerFailure {
			t.Errorf("first question: %s, want SERVFAIL", dns.RcodeToString[got])
		}
	})
	t.Run("dns-45", func(t *testing.T) {
		r := newRig(t, serveScript(t, func(raw []byte) [][]byte {
			return [][]byte{respond(t, raw, func(m *dns.Msg) { m.Answer = parse(t, m.Question[0].Name+" 300 A 198.51.100.4") })}
		}), standard(), func(c *Config) { c.Limits.Remembered = 10 })
		for i := range 50 {
			r.ask(t, "udp", fmt.Sprintf("n%d.google.com", i), dns.TypeA)
		}
		if got := len(r.Replay(standard())); got != 10 {
			t.Errorf("%d answers are remembered, want 10", got)
		}
	})
	t.Run("dns-22", func(t *testing.T) {
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		r := newRig(t, u.LocalAddr().(*net.UDPAddr).AddrPort(), standard())
		ports, ids := make(map[uint16]bool), make(map[uint16]bool)
		buf := make([]byte, maxMessage)
		for i := range 40 {
			r.pose(t, fmt.Sprintf("n%d.google.com", i))
			_ = u.SetReadDeadline(time.Now().Add(patience))
			_, from, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatal(err)
			}
			ports[from.Port()], ids[binary.BigEndian.Uint16(buf)] = true, true
		}
		if len(ports) < 2 || len(ids) < 30 {
			t.Errorf("40 questions of one ID went up with %d IDs from %d ports", len(ids), len(ports))
		}
	})
	t.Run("dns-21 dns-72", func(t *testing.T) {
		r := newRig(t, serveScript(t, with(t, asked+" 300 A 198.51.100.4")), standard())
		a, b := r.pose(t, "api.google.com"), r.pose(t, "api.google.com")
		if _, err := a.Write(wireQuestion("api.google.com", dns.TypeAAAA)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []net.Conn{a, a, b} {
			buf := make([]byte, maxMessage)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if _, err := c.Read(buf); err != nil || buf[0] != 0x12 || buf[1] != 0x34 {
				t.Errorf("answer with ID %x, %v; want the client's", buf[:2], err)
			}
		}
	})
}
