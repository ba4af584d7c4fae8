// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// seeds are messages of many kinds, good and bad.
func seeds(f *testing.F) [][]byte {
	q := wireQuestion("api.google.com", dns.TypeA)
	all := [][]byte{
		q, wireQuestion("google.com", dns.TypeHTTPS), wireLabels(dns.TypeA), wireLabels(dns.TypeA, "a.b", "\x00\xff"),
		append(append(bytes.Clone(q[:12]), 0xc0, 12), 0, 1, 0, 1),
	}
	for _, rs := range [][]string{
		{asked + " 300 A 198.51.100.4"},
		{asked + " 300 CNAME b.example.", "b.example. 300 AAAA 2001:db8::4"},
		{"google.com. 60 DNAME b.example.", asked + " 60 CNAME api.b.example."},
		{asked + ` 300 HTTPS 1 . alpn="h2" port=8443 ipv4hint=198.51.100.4 ipv6hint=2001:db8::4`},
		{asked + ` 300 SVCB 0 b.example.`, asked + " 300 TXT \"x\" \"y\"", asked + " 300 MX 10 b.example."},
	} {
		all = append(all, with(f, rs...)(bytes.Clone(q))...)
	}
	opt := new(dns.Msg)
	opt.SetQuestion(asked, dns.TypeAAAA)
	opt.SetEdns0(1400, true)
	b, err := opt.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return append(all, b)
}

// oracle reads the name at off with miekg/dns and gives it in the form of wireName.
func oracle(t *testing.T, msg []byte, off int) (wireName, int) {
	t.Helper()
	text, next, err := dns.UnpackDomainName(msg, off)
	if err != nil {
		t.Fatalf("miekg/dns cannot read the name at %d of %x: %v", off, msg, err)
	}
	var wire [maxNameLen + 1]byte
	n, err := dns.PackDomainName(text, wire[:], 0, nil, false)
	if err != nil {
		t.Fatalf("miekg/dns cannot pack %q: %v", text, err)
	}
	return wireName(lowered(wire[:n-1])), next
}

func lowered(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] = lower(out[i])
	}
	return out
}

// FuzzQuery: what the proxy would judge, miekg/dns reads the same.
func FuzzQuery(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		a, bad := readQuery(msg)
		if out := (refusal{rcode: rcodeNXDomain, text: "x"}).reply(&a); bad == nil || !bad.silent {
			if err := new(dns.Msg).Unpack(out); err != nil {
				t.Errorf("refusal %x of %x: %v", out, msg, err)
			}
		}
		if bad != nil {
			return
		}
		name, next := oracle(t, msg, headerLen)
		if name != a.name || next+4 != headerLen+len(a.raw) || len(a.name) >= maxNameLen {
			t.Errorf("question of %x is %q to %d, miekg/dns has %q to %d", msg, a.name, headerLen+len(a.raw), name, next+4)
		}
		if a.typ != binary.BigEndian.Uint16(msg[next:]) || a.class != classIN {
			t.Errorf("type and class of %x are %d and %d", msg, a.typ, a.class)
		}
		if joined := strings.Join(a.name.labels(), ""); len(joined) != len(a.name)-len(a.name.labels()) {
			t.Errorf("labels of %q are %q", a.name, a.name.labels())
		}
	})
}

// FuzzAnswer: of what the proxy believes, miekg/dns reads the same addresses, aliases and TTLs.
func FuzzAnswer(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	ttl := TTL{}.orDefault()
	f.Fuzz(func(t *testing.T, msg []byte) {
		if h, ok := readHeader(msg); !ok || h.qd != 1 {
			return
		}
		q, _, err := readQuestion(msg)
		if err != nil {
			return
		}
		q.raw = bytes.Clone(q.raw)
		a, err := readAnswer(msg, q)
		if err != nil {
			return
		}
		off := headerLen + len(q.raw)
		for _, r := range a.records {
			name, next := oracle(t, msg, off)
			if name != r.owner || r.ttlAt != next+4 {
				t.Fatalf("owner at %d of %x is %q, miekg/dns has %q", off, msg, r.owner, name)
			}
			checkRecord(t, &a, r, off)
			off = r.end
		}
		before := bytes.Clone(msg)
		_, c, err := a.learn(q.name, ttl)
		if err != nil {
			return
		}
		a.lower(c, ttl)
		checkLowered(t, before, a, c, ttl)
	})
}

// checkRecord compares the data of one record with what miekg/dns makes of it.
func checkRecord(t *testing.T, a *answer, r record, off int) {
	t.Helper()
	if !slices.Contains([]uint16{typeA, typeAAAA, typeCNAME, typeDNAME}, r.typ) || r.class != classIN {
		return
	}
	rr, next, err := dns.UnpackRR(a.msg, off)
	if err != nil || next != r.end || rr.Header().Ttl != r.ttl {
		t.Fatalf("record at %d of %x: %v to %d, %v; want the end %d and TTL %d", off, a.msg, rr, next, err, r.end, r.ttl)
	}
	var want netip.Addr
	switch v := rr.(type) {
	case *dns.A:
		want, _ = netip.AddrFromSlice(v.A.To4())
	case *dns.AAAA:
		want, _ = netip.AddrFromSlice(v.AAAA.To16())
	default:
		return
	}
	if got := a.addresses(r); len(got) != 1 || got[0] != want {
		t.Errorf("address at %d of %x is %v, miekg/dns has %v", off, a.msg, got, want)
	}
}

// checkLowered: nothing but TTLs changed, and they fell.
func checkLowered(t *testing.T, before []byte, a answer, c chain, ttl TTL) {
	t.Helper()
	for _, r := range a.records {
		now := binary.BigEndian.Uint32(a.msg[r.ttlAt:])
		if now > r.ttl || now > uint32(ttl.Max.Seconds()) || r.owner == c.end && now > max(c.ttl, uint32(ttl.Min.Seconds())) {
			t.Errorf("TTL at %d of %x became %d", r.ttlAt, before, now)
		}
		copy(before[r.ttlAt:r.ttlAt+4], a.msg[r.ttlAt:r.ttlAt+4])
	}
	if !bytes.Equal(before, a.msg) {
		t.Errorf("%x became %x", before, a.msg)
	}
}
