// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// tableOf makes the tables of workload "w" from name rules. Its servers are of class 0 but 192.0.2.53,
// 203.0.113.66 and the host workload "svc" at 127.0.0.1, which are of the classes 1, 2 and 3.
func tableOf(n *program.Names, questions []program.Question, classes ...string) *program.Tables {
	tb := program.Table{
		Key: "t", Names: n, Questions: questions, Classes: []program.Class{{Key: "none"}, {Key: "node"}, {Key: "other"}, {Key: "svc"}},
		Members: []program.Member{{Identity: 2, Class: 1}, {Identity: 3, Class: 2}, {Identity: 4, Class: 3}},
	}
	for _, c := range classes {
		tb.Classes = append(tb.Classes, program.Class{Key: c, Names: true})
	}
	return &program.Tables{
		Addresses: []program.Address{
			{Prefix: netip.MustParsePrefix("0.0.0.0/0")},
			{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Identity: 1, Cell: 1, Owned: true, Node: true},
			{Prefix: netip.MustParsePrefix("192.0.2.53/32"), Identity: 2},
			{Prefix: netip.MustParsePrefix("203.0.113.66/32"), Identity: 3},
		},
		Sockets:  []program.Socket{{Workload: "svc", Cell: 1, Identity: 4}},
		Subjects: []program.Bound{{Workload: "svc", Egress: -1, Ingress: 0}, {Workload: "w", Egress: 0, Ingress: -1}},
		Tables:   []program.Table{tb},
	}
}

// of is name servers of a class.
func of(class int, about ...program.NamePattern) program.NameServer {
	return program.NameServer{Classes: []int{class}, For: about}
}

func TestView_judge(t *testing.T) {
	const node, other, loopback = "192.0.2.53", "203.0.113.66", "127.0.0.1"
	domain := func(ps ...program.NamePattern) program.Domain { return program.Domain{Patterns: ps} }
	v := ViewOf(7, tableOf(&program.Names{
		Peers: []program.NamePeer{
			{Key: "all", Domain: domain("**.example.com"), Servers: []program.NameServer{of(1)}},
			{Key: "api", Domain: domain("api.example.com"), Servers: []program.NameServer{of(1)}},
			{Key: "lone", Domain: domain("lone.example.com"), Servers: []program.NameServer{of(1)}},
			{Key: "svc", Domain: domain("**.example.org"), Servers: []program.NameServer{of(3, "*.svc.example.org"), of(2, "b.example.org")}},
		},
		Sets: []program.NameSet{{Peers: []int{0}, Class: 4}, {Peers: []int{0, 1}, Class: 5}, {Peers: []int{3}, Class: 6}},
	}, []program.Question{
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 1, Rule: "1"}, NameServer: of(1), Domain: domain("**.example.com"), Types: addressTypes()},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 2, Rule: "2"}, NameServer: of(1), Domain: domain("api.example.com"), Types: addressTypes()},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 6, Rule: "2"}, NameServer: of(1), Domain: domain("lone.example.com"), Types: addressTypes()},
		{Verdict: program.Verdict{Rank: 4, Order: 3, Rule: "3"}, Domain: domain("bad.example.com")},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 4, Rule: "4"}, NameServer: of(2), Any: true},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 5, Rule: "5"}, NameServer: of(1), Domain: domain("any.example.com"), Types: []uint16{typeANY}},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 7, Rule: "7"}, NameServer: of(2), Domain: domain("api.example.com"), Types: addressTypes()},
		{Verdict: program.Verdict{Rank: 4, Order: 8, Rule: "8"}, NameServer: of(2), L4: []program.L4{{Proto: program.ProtoTCP, First: 53, Last: 53}}, Any: true},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 9, Rule: "svc"}, NameServer: of(3, "*.svc.example.org"), L4: []program.L4{{Proto: program.ProtoUDP, First: 53, Last: 54}}, Domain: domain("**.example.org")},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 9, Rule: "all"}, Domain: domain("b.example.org")},
		{Verdict: program.Verdict{Allow: true, Rank: 5, Order: 10, Rule: "every"}, Domain: domain("any.example.org"), Types: []uint16{typeANY}},
		{Verdict: program.Verdict{Rank: 7, Rule: "9"}, Any: true},
	}, "all", "all+api", "svc"))
	for _, c := range []struct {
		name, server, question string
		typ                    uint16
		allow                  bool
		rule                   string
		set                    string
		proto                  uint8  // 0: udp
		port                   uint16 // 0: 53
		receiver               string
	}{
		{name: "one peer", server: node, question: "www.example.com", typ: dns.TypeA, allow: true, rule: "1", set: "all"},
		{name: "two peers", server: node, question: "api.example.com", typ: dns.TypeAAAA, allow: true, rule: "1", set: "all+api"},
		{name: "a combination without a set opens nothing", server: node, question: "lone.example.com", typ: dns.TypeA, allow: true, rule: "1"},
		{name: "deny wins", server: node, question: "bad.example.com", typ: dns.TypeA, rule: "3"},
		{name: "deny is of every type", server: other, question: "bad.example.com", typ: dns.TypeTXT, rule: "3"},
		{name: "deny is of ANY", server: other, question: "bad.example.com", typ: dns.TypeANY, rule: "3"},
		{name: "another server", server: "192.0.2.54", question: "www.example.com", typ: dns.TypeA, rule: "9"},
		{name: "another type", server: node, question: "www.example.com", typ: dns.TypeTXT, rule: "9"},
		{name: "a server that is not believed", server: other, question: "www.example.com", typ: dns.TypeA, allow: true, rule: "4"},
		{name: "a server with the same pattern in a rule of its own", server: other, question: "api.example.com", typ: dns.TypeA, allow: true, rule: "4"},
		{name: "denied over tcp alone", server: other, question: "www.example.com", typ: dns.TypeA, rule: "8", proto: program.ProtoTCP},
		{name: "every type", server: other, question: "www.example.net", typ: dns.TypeTXT, allow: true, rule: "4"},
		{name: "dns-17 ANY is not every type", server: other, question: "www.example.net", typ: dns.TypeANY, rule: "9"},
		{name: "dns-17 ANY by its number opens nothing", server: node, question: "any.example.com", typ: dns.TypeANY, allow: true, rule: "5"},
		{name: "mapped server", server: "::ffff:" + node, question: "www.example.com", typ: dns.TypeA, allow: true, rule: "1", set: "all"},
		{name: "a host workload", server: loopback, receiver: "svc", question: "a.svc.example.org", typ: dns.TypeA, allow: true, rule: "svc", set: "svc"},
		{name: "a host workload at a port of its own", server: loopback, receiver: "svc", port: 54, question: "a.svc.example.org", typ: dns.TypeA, allow: true, rule: "svc", set: "svc"},
		{name: "a host workload at another port", server: loopback, receiver: "svc", port: 55, question: "a.svc.example.org", typ: dns.TypeA, rule: "9"},
		{name: "a host workload is not asked about this", server: loopback, receiver: "svc", question: "a.example.org", typ: dns.TypeA, rule: "9"},
		{name: "a host workload is not believed about this", server: loopback, receiver: "svc", question: "b.example.org", typ: dns.TypeA, allow: true, rule: "all"},
		{name: "another server is", server: other, question: "b.example.org", typ: dns.TypeA, allow: true, rule: "4", set: "svc"},
		{name: "the host is no host workload", server: loopback, question: "a.svc.example.org", typ: dns.TypeA, rule: "9"},
		{name: "nor is another receiver", server: loopback, receiver: "v", question: "a.svc.example.org", typ: dns.TypeA, rule: "9"},
		{name: "ANY of the host without an ingress table", server: loopback, question: "any.example.org", typ: dns.TypeANY, allow: true, rule: "every"},
		{name: "ANY of a host workload with an ingress table", server: loopback, receiver: "svc", question: "any.example.org", typ: dns.TypeANY},
		{name: "ANY of it that is denied", server: loopback, receiver: "svc", question: "a.svc.example.org", typ: dns.TypeANY, rule: "9"},
		{name: "nobody knows the server", server: "2001:db8::1", question: "b.example.org", typ: dns.TypeA},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := decision{generation: 7, allow: c.allow, rule: c.rule}
			if c.set != "" {
				want.sets = []NameSetKey{{Table: "t", Class: c.set}}
			}
			proto := c.proto
			if proto == 0 {
				proto = program.ProtoUDP
			}
			server := netip.AddrPortFrom(netip.MustParseAddr(c.server), max(c.port, 53))
			got := v.judge("w", way{server, c.receiver, proto}, program.ParseName(c.question), c.typ)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(decision{})); diff != "" {
				t.Errorf("judge (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIndex: the index leaves out no domain that a name is in.
func TestIndex(t *testing.T) {
	patterns := []program.NamePattern{
		"com", "*", "**.com", "*.com", "a.com", "a*.com", "*.a.com", "**.a.com", "b.a.com", "*.b.*.com", "**.a*.com", "a.org",
	}
	var x index
	for i, p := range patterns {
		x.add(i, program.Domain{Patterns: []program.NamePattern{p, "other.example"}})
	}
	for _, n := range []program.Name{
		nil,
		{"com"},
		{"a", "com"},
		{"ab", "com"},
		{"b", "a", "com"},
		{"x", "b", "a", "com"},
		{"a.com"},
		{"x", "a.com"},
		{"a", "org"},
		{"other", "example"},
		{"x", "ay", "com"},
	} {
		found := make(map[int]bool)
		x.each(n, func(i int) { found[i] = true })
		for i, p := range patterns {
			if p.Matches(n) && !found[i] {
				t.Errorf("each(%q) leaves out %s", n, p)
			}
		}
	}
	x.each(program.Name{"b", "org"}, func(i int) {
		if patterns[i] == "a.org" {
			t.Error("each(b.org) names a.org")
		}
	})
}

func TestMemory(t *testing.T) {
	r := newMemory(4)
	t.Run("dns-53", func(t *testing.T) {
		now := timeOf(0)
		key := memoryKey{way: way{server: netip.MustParseAddrPort("192.0.2.53:53"), proto: program.ProtoUDP}, name: "\x03api\x06google\x03com", typ: typeA}
		addr := func(text string, seconds int) Address {
			return Address{Addr: netip.MustParseAddr(text), TTL: timeOf(seconds).Sub(now)}
		}
		r.add("w1", key, []Address{addr("198.51.100.1", 60), addr("198.51.100.2", 60)}, now)
		r.add("w1", key, []Address{addr("198.51.100.2", 60), addr("198.51.100.3", 60)}, timeOf(30))
		grants := r.replay(standard(), timeOf(40))
		if len(grants) != 1 {
			t.Fatalf("replay gives %v, want one grant", grants)
		}
		left := make(map[string]int)
		for _, a := range grants[0].Addresses {
			left[a.Addr.String()] = int(a.TTL.Seconds())
		}
		if diff := cmp.Diff(map[string]int{"198.51.100.1": 20, "198.51.100.2": 50, "198.51.100.3": 50}, left); diff != "" {
			t.Errorf("seconds left (-want +got):\n%s", diff)
		}
	})
}

func timeOf(seconds int) time.Time { return time.Unix(1_900_000_000+int64(seconds), 0) }
