// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// script says what a hostile server sends back to a question: any number of messages.
type script func(raw []byte) [][]byte

// serveScript runs a server on loopback, over UDP and TCP, that does what s says.
func serveScript(t testing.TB, s script) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		buf := make([]byte, maxMessage)
		for {
			n, from, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for _, m := range s(slices.Clone(buf[:n])) {
				_, _ = u.WriteToUDPAddrPort(m, from)
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveScriptStream(c, s)
		}
	}()
	return at
}

func serveScriptStream(c net.Conn, s script) {
	defer c.Close()
	for {
		raw, err := readFrame(c)
		if err != nil {
			return
		}
		for _, m := range s(raw) {
			if writeFrame(c, m) != nil {
				return
			}
		}
	}
}

// with answers every question with the given records, in this order, compressed by miekg/dns.
func with(t testing.TB, records ...string) script {
	rrs := parse(t, records...)
	return func(raw []byte) [][]byte {
		return [][]byte{respond(t, raw, func(m *dns.Msg) { m.Answer = rrs })}
	}
}

func parse(t testing.TB, records ...string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatalf("record %q: %v", s, err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

// respond packs an answer to raw as change wants it; the question stays as it was sent.
func respond(t testing.TB, raw []byte, change func(*dns.Msg)) []byte {
	q, r := new(dns.Msg), new(dns.Msg)
	if err := q.Unpack(raw); err != nil {
		t.Errorf("the proxy forwarded what cannot be read: %v", err)
		return nil
	}
	r.SetReply(q)
	r.Compress = true
	change(r)
	out, err := r.Pack()
	if err != nil {
		t.Errorf("pack the answer to %v: %v", q.Question, err)
	}
	return out
}

// patch returns an answer whose bytes edit has changed.
func patch(s script, edit func(msg []byte) []byte) script {
	return func(raw []byte) [][]byte {
		out := s(raw)
		for i := range out {
			out[i] = edit(out[i])
		}
		return out
	}
}
