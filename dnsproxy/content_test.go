// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// answerCase is an answer to one question of w1, whose rule is **.google.com, and what becomes of it.
type answerCase struct {
	name    string
	typ     uint16 // A unless set
	server  func(t testing.TB) script
	rcode   int
	answer  int      // number of records that the client sees
	granted []string // nil: nothing was written
	ttl     time.Duration
}

// records is a server that gives these.
func records(rs ...string) func(testing.TB) script {
	return func(t testing.TB) script { return with(t, rs...) }
}

const asked = "api.google.com."

func answerCases() []answerCase {
	const control = asked + " 300 A 198.51.100.4"
	return []answerCase{
		{name: "dns-31 control", server: records(control), answer: 1, granted: []string{"198.51.100.4"}, ttl: 360 * time.Second},
		{
			name:   "dns-31",
			server: records(asked+" 300 CNAME B.example.", "b.EXAMPLE. 100 CNAME c.example.", "C.example. 900 A 198.51.100.4"),
			answer: 3, granted: []string{"198.51.100.4"}, ttl: 160 * time.Second,
		},
		{
			name:   "dns-32",
			server: records("c.example. 300 A 198.51.100.4", "b.example. 300 CNAME c.example.", asked+" 300 CNAME b.example."),
			answer: 3, granted: []string{"198.51.100.4"}, ttl: 360 * time.Second,
		},
		{name: "dns-33 loop", server: records(asked+" 300 CNAME b.example.", "b.example. 300 CNAME "+asked), rcode: dns.RcodeServerFailure},
		{name: "dns-33 self", server: records(asked + " 300 CNAME " + asked), rcode: dns.RcodeServerFailure},
		{name: "dns-33 two", server: records(asked+" 300 CNAME b.example.", asked+" 300 CNAME c.example.", "b.example. 60 A 198.51.100.4"), rcode: dns.RcodeServerFailure},
		{name: "dns-33 hops 16", server: hops(16), answer: 17, granted: []string{"198.51.100.4"}, ttl: 360 * time.Second},
		{name: "dns-33 hops 17", server: hops(17), rcode: dns.RcodeServerFailure},
		{name: "dns-34", server: records(control, "victim-internal.corp. 300 A 198.51.100.5"), rcode: dns.RcodeServerFailure},
		{name: "dns-34 alone", server: records("other.google.com. 300 A 198.51.100.5"), rcode: dns.RcodeServerFailure},
		{name: "dns-34 before the end", server: records(asked+" 300 CNAME b.example.", control, "b.example. 300 A 198.51.100.5"), rcode: dns.RcodeServerFailure},
		{
			name:   "dns-35",
			server: records("google.com. 60 DNAME b.example.", asked+" 300 CNAME api.b.example.", "api.b.example. 300 A 198.51.100.4"),
			answer: 3, granted: []string{"198.51.100.4"}, ttl: 120 * time.Second,
		},
		{
			name:   "dns-35 wrong synthesis",
			server: records("google.com. 60 DNAME b.example.", asked+" 300 CNAME api.c.example.", "api.c.example. 300 A 198.51.100.4"),
			rcode:  dns.RcodeServerFailure,
		},
		{name: "dns-36", answer: 1, granted: []string{"198.51.100.4"}, ttl: 360 * time.Second, server: func(t testing.TB) script {
			return func(raw []byte) [][]byte {
				return [][]byte{respond(t, raw, func(m *dns.Msg) {
					m.Answer = parse(t, control)
					m.Ns = parse(t, "google.com. 300 NS ns.example.")
					m.Extra = parse(t, "ns.example. 300 A 198.51.100.9", "ns.example. 300 AAAA 2001:db8::9")
				})}
			}
		}},
		{name: "dns-37", typ: dns.TypeMX, server: records(asked + " 300 MX 10 mail.example."), rcode: dns.RcodeRefused},
		{name: "dns-38", server: records(asked + " 0 A 198.51.100.4"), answer: 1, granted: []string{"198.51.100.4"}, ttl: 65 * time.Second},
		{name: "dns-39 long", server: records(asked + " 2147483647 A 198.51.100.4"), answer: 1, granted: []string{"198.51.100.4"}, ttl: time.Hour + time.Minute},
		{name: "dns-39 highest bit", server: records(asked + " 4294967295 A 198.51.100.4"), answer: 1, granted: []string{"198.51.100.4"}, ttl: 65 * time.Second},
		{
			name: "dns-42", typ: dns.TypeHTTPS,
			server: records(asked + ` 300 HTTPS 1 svc.example. alpn="h2" port=8443 ipv4hint=198.51.100.4,198.51.100.7 ipv6hint=2001:db8::4`),
			answer: 1, granted: []string{"198.51.100.4", "198.51.100.7", "2001:db8::4"}, ttl: 360 * time.Second,
		},
		{name: "dns-42 alias", typ: dns.TypeHTTPS, server: records(asked + ` 300 HTTPS 0 svc.example.`), answer: 1},
		{name: "dns-42 off the chain", typ: dns.TypeHTTPS, server: records(`b.example. 300 HTTPS 1 . ipv4hint=198.51.100.4`), rcode: dns.RcodeServerFailure},
		{name: "dns-43", typ: dns.TypeAAAA, server: records(asked + " 300 AAAA 2001:db8::4"), answer: 1, granted: []string{"2001:db8::4"}, ttl: 360 * time.Second},
		{name: "dns-30 NODATA", server: records(), answer: 0},
	}
}

// hops is a chain of n aliases.
func hops(n int) func(testing.TB) script {
	owner, rs := asked, []string(nil)
	for i := range n {
		next := fmt.Sprintf("hop%d.example.", i)
		rs = append(rs, owner+" 300 CNAME "+next)
		owner = next
	}
	return records(append(rs, owner+" 300 A 198.51.100.4")...)
}

func TestProxy_answers(t *testing.T) {
	for _, c := range answerCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, newRig(t, serveScript(t, c.server(t)), standard()))
		})
	}
}

func (c answerCase) check(t *testing.T, r *rig) {
	if c.typ == 0 {
		c.typ = dns.TypeA
	}
	in := r.ask(t, "udp", asked, c.typ)
	if in.Rcode != c.rcode || len(in.Answer) != c.answer {
		t.Errorf("answer has %s and %d records, want %s and %d\n%v", dns.RcodeToString[in.Rcode], len(in.Answer),
			dns.RcodeToString[c.rcode], c.answer, in)
	}
	if diff := cmp.Diff(c.granted, r.granted()); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
	grace := TTL{}.orDefault().Grace
	for _, g := range r.allGrants() {
		if diff := cmp.Diff([]NameSetKey{{Table: "t1", Class: "names **.google.com"}}, g.Sets); diff != "" {
			t.Errorf("sets (-want +got):\n%s", diff)
		}
		for _, a := range g.Addresses {
			if a.TTL != c.ttl {
				t.Errorf("%v is open for %v, want %v", a.Addr, a.TTL, c.ttl)
			}
		}
		for _, rr := range in.Answer {
			if told := time.Duration(rr.Header().Ttl) * time.Second; rr.Header().Rrtype != dns.TypeCNAME &&
				rr.Header().Rrtype != dns.TypeDNAME && told > c.ttl-grace {
				t.Errorf("the client keeps %v for longer than it is open", rr)
			}
		}
	}
}

// TestProxy_forbidden: no name opens what is not of the internet, or of the node or a workload.
func TestProxy_forbidden(t *testing.T) {
	for _, addr := range []string{
		"169.254.169.254", "127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "172.16.0.1", "192.168.1.1", "224.0.0.251",
		"198.51.100.200", "::1", "::", "fd00::1", "fe80::1", "::ffff:198.51.100.4", "64:ff9b::c633:6404", "2001:db8:77::1", "ff02::fb",
	} {
		t.Run("dns-40 "+addr, func(t *testing.T) {
			t.Parallel()
			typ, record := dns.TypeA, asked+" 300 A "+addr
			good := asked + " 300 A 198.51.100.4"
			if addrOf(t, addr).Is6() {
				typ, record, good = dns.TypeAAAA, asked+" 300 AAAA "+addr, asked+" 300 AAAA 2001:db8::4"
			}
			server := with(t, good, record)
			if addr == "::ffff:198.51.100.4" { // miekg/dns packs no such AAAA
				b := addrOf(t, addr).As16()
				server = patch(with(t, good), func(m []byte) []byte { copy(m[len(m)-16:], b[:]); return m })
			}
			r := newRig(t, serveScript(t, server), standard())
			if in := r.ask(t, "udp", asked, typ); in.Rcode != dns.RcodeRefused || len(in.Answer) != 0 {
				t.Errorf("answer with %s has %s and %d records, want REFUSED", addr, dns.RcodeToString[in.Rcode], len(in.Answer))
			}
			if got := r.granted(); got != nil {
				t.Errorf("granted %v, want nothing", got)
			}
		})
	}
}

// TestProxy_plain: what a rule for every name allows opens nothing and passes as it is.
func TestProxy_plain(t *testing.T) {
	t.Run("dns-12", func(t *testing.T) {
		r := newRig(t, serveScript(t, with(t, "x.ns.svc. 300 CNAME "+asked, asked+" 7200 A 10.0.0.1")), standard(), as("w3"))
		in := r.ask(t, "udp", "x.ns.svc", dns.TypeA)
		if len(in.Answer) != 2 || in.Answer[1].Header().Ttl != 7200 || r.granted() != nil {
			t.Errorf("answer %v granted %v, want both records untouched and nothing granted", in, r.granted())
		}
	})
	t.Run("dns-14", func(t *testing.T) {
		r := newRig(t, serveScript(t, with(t, "4.100.51.198.in-addr.arpa. 300 PTR "+asked)), ViewOf(1, policy(
			[]program.NamePattern{"**.google.com"}, program.Question{
				Verdict: program.Verdict{Allow: true, Rank: 5, Rule: "60"},
				Domain:  program.Domain{Patterns: []program.NamePattern{"**.in-addr.arpa"}}, Types: []uint16{dns.TypePTR},
			})))
		if in := r.ask(t, "udp", "4.100.51.198.in-addr.arpa", dns.TypePTR); len(in.Answer) != 1 || r.granted() != nil {
			t.Errorf("answer %v granted %v, want one record and nothing granted", in, r.granted())
		}
		if in := r.ask(t, "udp", "4.100.51.198.in-addr.arpa", dns.TypeTXT); in.Rcode != dns.RcodeRefused {
			t.Errorf("another type: %s, want REFUSED", dns.RcodeToString[in.Rcode])
		}
	})
}
