// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// recorder is a server that keeps the questions that reach it.
type recorder struct {
	script script
	mu     sync.Mutex
	got    [][]byte
}

func (r *recorder) answer(raw []byte) [][]byte {
	r.mu.Lock()
	r.got = append(r.got, bytes.Clone(raw))
	r.mu.Unlock()
	return r.script(raw)
}

func (r *recorder) received() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// raw sends bytes over UDP and returns what comes back; none says that nothing may.
func (r *rig) raw(t *testing.T, msg []byte, none bool) []byte {
	t.Helper()
	c, err := net.Dial("udp", r.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxMessage)
	wait := patience
	if none {
		// Nothing comes; a good question behind it shows that the proxy is past it.
		good := wireQuestion("api.google.com", dns.TypeA)
		if _, err := c.Write(good); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no answer to %x: %v", msg, err)
	}
	return buf[:n]
}

// wireQuestion is a plain question, its name in dotted text without escapes.
func wireQuestion(name string, typ uint16) []byte {
	return wireLabels(typ, strings.Split(name, ".")...)
}

func wireLabels(typ uint16, labels ...string) []byte {
	m := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range labels {
		m = append(append(m, byte(len(l))), l...)
	}
	m = binary.BigEndian.AppendUint16(append(m, 0), typ)
	return binary.BigEndian.AppendUint16(m, classIN)
}

func TestProxy_names(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, c := range []struct {
		name    string
		labels  []string
		typ     uint16
		view    *View
		rcode   int
		forward bool
	}{
		{name: "dns-1", labels: []string{"aPi", "GoOgLe", "CoM"}, forward: true},
		{name: "dns-3", labels: []string{"google", "com"}, rcode: dns.RcodeRefused},
		{name: "dns-4 one label", labels: []string{"a", "b", "google", "com"}, view: viewFor("*.google.com"), rcode: dns.RcodeRefused},
		{name: "dns-4 control", labels: []string{"b", "google", "com"}, view: viewFor("*.google.com"), forward: true},
		{name: "dns-4 deep", labels: []string{"a", "b", "google", "com"}, forward: true},
		{name: "dns-5 prefix", labels: []string{"evilgoogle", "com"}, rcode: dns.RcodeRefused},
		{name: "dns-5 suffix", labels: []string{"google", "com", "evil", "net"}, rcode: dns.RcodeRefused},
		{name: "dns-5 longer", labels: []string{"www", "google", "comx"}, rcode: dns.RcodeRefused},
		{name: "dns-6", labels: []string{"www.google", "com"}, rcode: dns.RcodeRefused},
		{name: "dns-6 whole", labels: []string{"www.google.com"}, rcode: dns.RcodeRefused},
		{name: "dns-7 odd octets allowed", labels: []string{"\x00\x80\\ \".", "google", "com"}, forward: true},
		{name: "dns-7 odd octets denied", labels: []string{"\x00\x80\\ \".", "example", "com"}, rcode: dns.RcodeRefused},
		{name: "dns-7 63 octets", labels: []string{long, "google", "com"}, forward: true},
		{name: "dns-8 255", labels: []string{long, long, long, long[:50], "google", "com"}, forward: true},
		{name: "dns-8 256", labels: []string{long, long, long, long[:51], "google", "com"}, rcode: dns.RcodeFormatError},
		{name: "dns-9 A-label", labels: []string{"xn--bcher-kva", "example"}, view: viewFor("xn--bcher-kva.example"), forward: true},
		{name: "dns-9 U-label", labels: []string{"bücher", "example"}, view: viewFor("xn--bcher-kva.example"), rcode: dns.RcodeRefused},
		{name: "dns-10", labels: []string{"_443", "_tcp", "google", "com"}, forward: true},
		{name: "dns-10 type", labels: []string{"_acme-challenge", "google", "com"}, typ: dns.TypeTXT, rcode: dns.RcodeRefused},
		{name: "dns-11", labels: []string{"api", "google", "com", "ns", "svc", "cluster", "local"}, rcode: dns.RcodeNameError},
		{name: "dns-13 root", rcode: dns.RcodeRefused},
		{name: "dns-13 single", labels: []string{"localhost"}, rcode: dns.RcodeRefused},
		{name: "dns-14", labels: []string{"4", "100", "51", "198", "in-addr", "arpa"}, typ: dns.TypePTR, rcode: dns.RcodeRefused},
		{name: "dns-17 AXFR", labels: []string{"a", "google", "com"}, typ: dns.TypeAXFR, rcode: dns.RcodeRefused},
		{name: "dns-17 IXFR", labels: []string{"a", "google", "com"}, typ: dns.TypeIXFR, rcode: dns.RcodeRefused},
		{name: "dns-17 ANY", labels: []string{"a", "google", "com"}, typ: dns.TypeANY, rcode: dns.RcodeRefused},
		{name: "dns-63", labels: []string{"use-application-dns", "net"}, rcode: dns.RcodeNameError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{script: func(raw []byte) [][]byte {
				raw[2] |= 0x80
				return [][]byte{raw}
			}}
			if c.view == nil {
				c.view = standard()
			}
			if c.typ == 0 {
				c.typ = dns.TypeA
			}
			r := newRig(t, serveScript(t, rec.answer), c.view, func(cfg *Config) { cfg.Search = []string{"svc.cluster.local"} })
			question := wireLabels(c.typ, c.labels...)
			out := r.raw(t, question, false)
			if got := int(out[3] & 15); got != c.rcode {
				t.Errorf("answer is %s, want %s", dns.RcodeToString[got], dns.RcodeToString[c.rcode])
			}
			if c.rcode != dns.RcodeFormatError && !bytes.Equal(out[:2], question[:2]) || !bytes.HasPrefix(out[12:], question[12:]) && c.rcode != dns.RcodeFormatError {
				t.Errorf("answer %x has not the ID and question of %x", out, question)
			}
			if got := len(rec.received()) == 1; got != c.forward {
				t.Errorf("forwarded: %v, want %v", got, c.forward)
			}
			if c.forward && !bytes.Equal(rec.received()[0][2:], question[2:]) {
				t.Errorf("question went up as %x, was %x", rec.received()[0], question)
			}
		})
	}
}

func viewFor(p program.NamePattern) *View { return ViewOf(1, policy([]program.NamePattern{p})) }

// TestProxy_byteForByte: what goes up is what came but for the ID, whatever options it has.
func TestProxy_byteForByte(t *testing.T) {
	t.Run("dns-27", func(t *testing.T) {
		rec := &recorder{script: with(t, asked+" 300 A 198.51.100.4")}
		r := newRig(t, serveScript(t, rec.answer), standard())
		q := wireQuestion("api.google.com", dns.TypeA)
		q[3] |= 0x30 // AD and CD
		q[11] = 1
		q = append(q, 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 8, 0xff, 0xf0, 0, 4, 1, 2, 3, 4) // DO and an unknown option
		r.raw(t, q, false)
		if got := rec.received(); len(got) != 1 || !bytes.Equal(got[0][2:], q[2:]) {
			t.Errorf("went up as %x, was %x", got, q)
		}
		if got := rec.received(); bytes.Equal(got[0][:2], q[:2]) {
			// One chance in 65,536: ask again.
			r.raw(t, q, false)
			if bytes.Equal(rec.received()[1][:2], q[:2]) {
				t.Errorf("the client's ID went up (dns-21)")
			}
		}
	})
	t.Run("dns-28", func(t *testing.T) {
		sent := make(chan []byte, 1)
		server := patch(with(t, asked+" 300 A 198.51.100.4",
			asked+" 300 RRSIG A 13 3 300 20300101000000 20200101000000 1 google.com. AAAA"), func(m []byte) []byte {
			m[3] |= 0x20 // AD
			sent <- bytes.Clone(m)
			return m
		})
		r := newRig(t, serveScript(t, server), standard())
		got := r.raw(t, wireQuestion("api.google.com", dns.TypeA), false)
		if want := <-sent; !bytes.Equal(got[2:], want[2:]) {
			t.Errorf("client got %x, server sent %x", got, want)
		}
	})
}

// TestProxy_refusals: what a refusal looks like.
func TestProxy_refusals(t *testing.T) {
	r := newRig(t, freePort(t), standard(), func(c *Config) { c.Refusal = NXDomain })
	m := new(dns.Msg)
	m.SetQuestion("evil.example.", dns.TypeA)
	m.SetEdns0(1232, false)
	in := r.exchange(t, "udp", m)
	if in.Rcode != dns.RcodeNameError || len(in.Ns) != 1 || in.IsEdns0() == nil {
		t.Fatalf("refusal %v, want NXDOMAIN with an SOA and OPT", in)
	}
	soa, ok := in.Ns[0].(*dns.SOA)
	if !ok || soa.Hdr.Ttl > 5 || soa.Minttl > 5 {
		t.Errorf("authority is %v, want an SOA of at most 5 s", in.Ns[0])
	}
	e := r.event(t, 1)
	want := Event{
		Time: e.Time, Generation: 1, Workload: "w1", Client: e.Client, Server: e.Server, Proto: program.ProtoUDP,
		Name: program.ParseName("evil.example"), Type: dns.TypeA, Verdict: Denied, Rule: "99", Reason: "question not allowed",
	}
	if diff := cmp.Diff(want, e, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}
