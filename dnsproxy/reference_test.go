// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang"
	"mpol/lang/check"
)

const referencePolicy = `
package names

default deny

workload a = app = "a"
workload b = app = "b"
workload c = app = "c"

domains both = "api.example.com", "*.cdn.example.com"

policy a for a {
  egress {
    api:  allow to both on tcp/443
    deep: allow to "**.example.com" on tcp/80
    bad:  deny to "bad.example.com" on any
  }
  ingress none
}
policy b for b {
  egress {
    one:   allow to "*.example.com" except "bad.example.com" on tcp/443
    plain: allow to 203.0.113.0/24 on udp/53, tcp/53
    tcp:   allow to 9.9.9.9 on tcp/53
  }
  ingress none
}
policy c for c {
  egress { dns: allow to any on udp/53 }
  ingress none
}
`

// TestReference compares the view of a compiled policy with the reference evaluator: on every
// question, both say the same and name the same rule.
func TestReference(t *testing.T) {
	file, list := lang.Parse("names.mpol", []byte(referencePolicy))
	module, more := check.Check([]*lang.File{file}, check.Options{})
	if list.HasErrors() || more.HasErrors() {
		t.Fatalf("check: %v %v", list, more)
	}
	inventory := program.Inventory{
		Node: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Resolvers: []netip.Addr{
			netip.MustParseAddr("198.51.100.53"), netip.MustParseAddr("2001:db8::53"),
		},
	}
	for i, name := range []string{"a", "b", "c"} {
		inventory.Workloads = append(inventory.Workloads, program.Workload{
			Name: name, Labels: []program.Label{{Key: "app", Value: name}}, Interface: "veth-" + name,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), netip.AddrFrom16([16]byte{0xfd, 15: byte(i + 1)})},
		})
	}
	p, list := compiler.Compile(module, inventory)
	if list.HasErrors() {
		t.Fatalf("compile: %v", list)
	}
	v := ViewOf(1, &p.Tables)
	seen := make(map[bool]int)
	for _, w := range inventory.Workloads[:2] {
		for _, server := range []string{"198.51.100.53", "2001:db8::53", "203.0.113.53", "9.9.9.9"} {
			flow := verdict.Flow{
				From:  verdict.End{Workload: w.Name, Addr: w.Addresses[0]},
				To:    verdict.End{Addr: netip.MustParseAddr(server)},
				Proto: program.ProtoUDP, Port: 53,
			}
			if flow.To.Addr.Is6() {
				flow.From.Addr = w.Addresses[1]
			}
			compare(t, v, p, flow, seen)
			flow.Proto = program.ProtoTCP
			compare(t, v, p, flow, seen)
		}
	}
	if seen[true] < 20 || seen[false] < 20 {
		t.Errorf("%d questions were allowed and %d denied: too few of one kind", seen[true], seen[false])
	}
	if d := v.judge("c", way{netip.MustParseAddr("9.9.9.9"), program.ProtoUDP}, program.ParseName("other.test"), dns.TypeA); d.allow {
		t.Error("a workload without domain peers is judged by its names")
	}
	for addr, want := range map[string]bool{"10.0.0.2": true, "192.0.2.1": true, "198.51.100.4": false, "::ffff:10.0.0.2": true} {
		if got := v.forbidden(netip.MustParseAddr(addr)); got != want {
			t.Errorf("forbidden(%s) = %v, want %v", addr, got, want)
		}
	}
}

// compare asks both about many questions in one flow and counts what they allow.
func compare(t *testing.T, v *View, p *program.Program, flow verdict.Flow, seen map[bool]int) {
	t.Helper()
	workload, server := flow.From.Workload, flow.To.Addr
	// A flow that is denied as such never comes to the proxy, and its denial has its own rule.
	comes := verdict.Decide(&p.Rules, flow).Action == verdict.Redirect
	for _, name := range []string{
		"api.example.com", "x.cdn.example.com", "bad.example.com", "www.example.com", "example.com", "x.y.example.com", "other.test",
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeANY} {
			n := program.ParseName(name)
			flow.Question = &verdict.Question{Name: n, Type: typ}
			want, got := verdict.Decide(&p.Rules, flow), v.judge(workload, way{server, flow.Proto}, n, typ)
			rule := p.Rules.Source(want.Rule).Key
			if got.allow != (want.Action == verdict.Allow) || comes && got.rule != rule {
				t.Errorf("%s asks %v for %s %d: allow %v by %s, want %v by %s", workload, server, name, typ,
					got.allow, got.rule, want.Action, rule)
			}
			seen[got.allow]++
			believed := slices.Contains(p.Rules.Inventory.Resolvers, server)
			if len(got.sets) > 0 && !believed {
				t.Errorf("%s believes %v about %s", workload, server, name)
			}
			if got.allow && opens(typ) && believed && len(got.sets) == 0 {
				t.Errorf("what %v says to %s about %s opens nothing", server, workload, name)
			}
		}
	}
}
