// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestProxy_shapes: questions that break the form are never forwarded.
func TestProxy_shapes(t *testing.T) {
	const silent = -1
	good := wireQuestion("api.google.com", dns.TypeA)
	edit := func(f func(m []byte) []byte) []byte { return f(bytes.Clone(good)) }
	set := func(at int, b ...byte) []byte {
		return edit(func(m []byte) []byte { copy(m[at:], b); return m })
	}
	opt := []byte{0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0}
	with := func(count byte, extra ...[]byte) []byte {
		return edit(func(m []byte) []byte {
			m[11] = count
			return append(m, bytes.Join(extra, nil)...)
		})
	}
	pointer := func(to ...byte) []byte {
		return append(append(bytes.Clone(good[:12]), to...), 0, 1, 0, 1)
	}
	for _, c := range []struct {
		name  string
		msg   []byte
		rcode int
	}{
		{"dns-15 none", set(5, 0), dns.RcodeFormatError},
		{"dns-15 two", edit(func(m []byte) []byte {
			m[5] = 2
			return append(m, wireQuestion("evil.example", dns.TypeA)[12:]...)
		}), dns.RcodeFormatError},
		{"dns-16 response", set(2, 0x81), silent},
		{"dns-16 IQUERY", set(2, 1<<3), dns.RcodeNotImplemented},
		{"dns-16 STATUS", set(2, 2<<3), dns.RcodeNotImplemented},
		{"dns-16 NOTIFY", set(2, 4<<3), dns.RcodeNotImplemented},
		{"dns-16 UPDATE", set(2, 5<<3), dns.RcodeNotImplemented},
		{"dns-16 DSO", set(2, 6<<3), dns.RcodeNotImplemented},
		{"dns-17 CH", set(len(good)-1, 3), dns.RcodeRefused},
		{"dns-17 class ANY", set(len(good)-1, 255), dns.RcodeRefused},
		{"dns-18 answer", set(7, 1), dns.RcodeFormatError},
		{"dns-18 authority", set(9, 1), dns.RcodeFormatError},
		{"dns-18 trailing", append(bytes.Clone(good), 0), dns.RcodeFormatError},
		{"dns-18 two OPT", with(2, opt, opt), dns.RcodeFormatError},
		{"dns-18 OPT owner", with(1, append([]byte{1, 'a'}, opt...)), dns.RcodeFormatError},
		{"dns-18 smuggled record", with(1, []byte{0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 1, 'x'}), dns.RcodeFormatError},
		{"dns-18 missing record", with(1), dns.RcodeFormatError},
		{"dns-18 pointer forward", pointer(0xc0, 20), dns.RcodeFormatError},
		{"dns-18 pointer to itself", pointer(0xc0, 12), dns.RcodeFormatError},
		{"dns-18 pointer into the header", pointer(0xc0, 0), dns.RcodeFormatError},
		{"dns-18 label type", pointer(0x41, 0), dns.RcodeFormatError},
		{"dns-18 cut name", good[:16], dns.RcodeFormatError},
		{"dns-18 cut header", good[:11], silent},
		{"dns-18 control", with(1, opt), dns.RcodeSuccess},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{script: func(raw []byte) [][]byte {
				raw[2] |= 0x80
				return [][]byte{raw}
			}}
			r := newRig(t, serveScript(t, rec.answer), standard())
			forwarded := 0
			if c.rcode == silent || c.rcode == dns.RcodeSuccess {
				forwarded = 1 // the good question behind it, or itself
			}
			out := r.raw(t, c.msg, c.rcode == silent)
			if got := int(out[3] & 15); got != max(c.rcode, 0) {
				t.Errorf("answer is %s, want %s", dns.RcodeToString[got], dns.RcodeToString[c.rcode])
			}
			if got := len(rec.received()); got != forwarded {
				t.Errorf("%d questions forwarded, want %d", got, forwarded)
			}
		})
	}
}

// TestProxy_badAnswers: what a server sends that is no answer, or none that can be read.
func TestProxy_badAnswers(t *testing.T) {
	good := func(t *testing.T) script { return with(t, asked+" 300 A 198.51.100.4") }
	aaaa := func(t *testing.T) script { return with(t, asked+" 300 AAAA 2001:db8::4") }
	for _, c := range []struct {
		name   string
		typ    uint16
		server func(t *testing.T) script
	}{
		{"dns-19 owner loops", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[len(m)-15] = byte(len(m) - 16); return m })
		}},
		{"dns-19 RDLENGTH overrun", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[len(m)-5] = 5; return m })
		}},
		{"dns-19 short A", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[len(m)-5] = 3; return m[:len(m)-1] })
		}},
		{"dns-19 short AAAA", dns.TypeAAAA, func(t *testing.T) script {
			return patch(aaaa(t), func(m []byte) []byte { m[len(m)-17] = 15; return m[:len(m)-1] })
		}},
		{"dns-19 trailing", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { return append(m, 0) })
		}},
		{"dns-20 ID", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[0] ^= 1; return m })
		}},
		{"dns-20 name", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[13] ^= 1; return m })
		}},
		{"dns-20 type", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[12+16+1] = typeAAAA; return m })
		}},
		{"dns-20 class", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[12+16+3] = 3; return m })
		}},
		{"dns-20 a question", dns.TypeA, func(t *testing.T) script {
			return patch(good(t), func(m []byte) []byte { m[2] &= 0x7f; return m })
		}},
		{"dns-29 silence", dns.TypeA, func(*testing.T) script { return func([]byte) [][]byte { return nil } }},
		{"dns-29 SERVFAIL", dns.TypeA, func(t *testing.T) script {
			return patch(with(t), func(m []byte) []byte { m[3] |= 2; return m })
		}},
		{"dns-29 REFUSED", dns.TypeA, func(t *testing.T) script {
			return patch(with(t), func(m []byte) []byte { m[3] |= 5; return m })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, serveScript(t, c.server(t)), standard())
			start := time.Now()
			in := r.ask(t, "udp", asked, c.typ)
			if in.Rcode != dns.RcodeServerFailure || len(in.Answer) != 0 || r.granted() != nil {
				t.Errorf("answer %v granted %v, want SERVFAIL and nothing", in, r.granted())
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("the client waited %v", took)
			}
		})
	}
	t.Run("dns-29 nobody listens", func(t *testing.T) {
		for _, network := range []string{"udp", "tcp"} {
			r := newRig(t, freePort(t), standard())
			if in := r.ask(t, network, asked, dns.TypeA); in.Rcode != dns.RcodeServerFailure {
				t.Errorf("%s: %s, want SERVFAIL", network, dns.RcodeToString[in.Rcode])
			}
		}
	})
}

// TestProxy_size: what does not fit a client's datagram is cut to nothing and opens nothing.
func TestProxy_size(t *testing.T) {
	var rs []string
	for i := range 60 {
		rs = append(rs, fmt.Sprintf("%s 300 AAAA 2001:db8::%x", asked, i+1))
	}
	sized := func(size uint16) *dns.Msg {
		m := new(dns.Msg)
		m.SetQuestion(asked, dns.TypeAAAA)
		if size > 0 {
			m.SetEdns0(size, false)
		}
		return m
	}
	for _, c := range []struct {
		name string
		size uint16
	}{{"dns-25 no EDNS", 0}, {"dns-25 small", 600}, {"dns-26", 4096}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, serveScript(t, with(t, rs...)), standard())
			if in := r.exchange(t, "udp", sized(c.size)); !in.Truncated || len(in.Answer) != 0 || r.granted() != nil {
				t.Errorf("over UDP: TC %v, %d records, granted %v; want TC and nothing", in.Truncated, len(in.Answer), r.granted())
			}
			if in := r.exchange(t, "tcp", sized(c.size)); in.Truncated || len(in.Answer) != 60 || len(r.granted()) != 60 {
				t.Errorf("over TCP: TC %v, %d records, %d granted; want all 60", in.Truncated, len(in.Answer), len(r.granted()))
			}
		})
	}
	t.Run("dns-23", func(t *testing.T) {
		cut := patch(with(t, asked+" 300 A 198.51.100.4"), func(m []byte) []byte {
			binary.BigEndian.PutUint16(m[2:], binary.BigEndian.Uint16(m[2:])|flagTC)
			return m
		})
		r := newRig(t, serveScript(t, cut), standard())
		in := r.ask(t, "udp", asked, dns.TypeA)
		if !in.Truncated || len(in.Answer) != len(r.granted()) {
			t.Errorf("TC %v, %d records, granted %v; want TC and exactly what was released", in.Truncated, len(in.Answer), r.granted())
		}
	})
}

// TestProxy_passes: answers without an address pass as they are.
func TestProxy_passes(t *testing.T) {
	for _, c := range []struct {
		name  string
		rcode int
		edit  func(m *dns.Msg)
	}{
		{"dns-27 BADVERS", dns.RcodeBadVers, func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.Rcode = dns.RcodeBadVers
		}},
		{"dns-30 NXDOMAIN", dns.RcodeNameError, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }},
		{"dns-30 NODATA", dns.RcodeSuccess, func(*dns.Msg) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, serveScript(t, func(raw []byte) [][]byte {
				return [][]byte{respond(t, raw, func(m *dns.Msg) {
					m.Ns = parse(t, "google.com. 900 SOA ns.google.com. root.google.com. 1 2 3 4 900")
					c.edit(m)
				})}
			}), standard())
			in := r.ask(t, "udp", asked, dns.TypeA)
			if in.Rcode != c.rcode || len(in.Ns) != 1 || in.Ns[0].Header().Ttl != 900 || r.granted() != nil {
				t.Errorf("answer %v granted %v, want %s with the server's SOA", in, r.granted(), dns.RcodeToString[c.rcode])
			}
		})
	}
	t.Run("dns-30 NXDOMAIN with an address", func(t *testing.T) {
		r := newRig(t, serveScript(t, patch(with(t, asked+" 300 A 198.51.100.4"), func(m []byte) []byte { m[3] |= 3; return m })), standard())
		if in := r.ask(t, "udp", asked, dns.TypeA); in.Rcode != dns.RcodeServerFailure || r.granted() != nil {
			t.Errorf("answer %v granted %v, want SERVFAIL and nothing", in, r.granted())
		}
	})
}
