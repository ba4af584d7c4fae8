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

workload svc = app = "svc"
resolver local = svc          on udp/53, udp/5353 for "**.example.com"
resolver far   = 203.0.113.53 on tcp/53
resolver own   = host         on udp/53

policy d for d {
  egress {
    resolve via local, far
    both:  allow to "**.example.com", "www.example.org" on tcp/443
    odd:   allow to 9.9.9.9 on udp/5353 dns { "*.cdn.example.com" types A, ANY }
    plain: allow to host, svc on tcp/53
  }
  ingress none
}
workload d = app = "d"
policy e for e {
  egress {
    resolve via own, node
    api: allow to "*.example.com" on tcp/443
  }
  ingress none
}
workload e = app = "e"
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
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		inventory.Workloads = append(inventory.Workloads, program.Workload{
			Name: name, Labels: []program.Label{{Key: "app", Value: name}}, Interface: "veth-" + name,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), netip.AddrFrom16([16]byte{0xfd, 15: byte(i + 1)})},
		})
	}
	inventory.Workloads = append(inventory.Workloads, program.Workload{
		Name: "svc", Labels: []program.Label{{Key: "app", Value: "svc"}}, Cgroup: "svc",
	})
	p, list := compiler.Compile(module, inventory)
	if list.HasErrors() {
		t.Fatalf("compile: %v", list)
	}
	v := ViewOf(1, &p.Tables)
	seen := make(map[bool]int)
	for _, name := range []string{"a", "b", "d", "e"} {
		i := slices.IndexFunc(inventory.Workloads, func(w program.Workload) bool { return w.Name == name })
		for _, server := range []verdict.End{at("198.51.100.53"), at("2001:db8::53"), at("203.0.113.53"), at("9.9.9.9"), at("127.0.0.1"), svc("127.0.0.1"), svc("::1")} {
			from := inventory.Workloads[i].Addresses[0]
			if server.Addr.Is6() {
				from = inventory.Workloads[i].Addresses[1]
			}
			for _, to := range []program.L4{{Proto: program.ProtoUDP, First: 53}, {Proto: program.ProtoTCP, First: 53}, {Proto: program.ProtoUDP, First: 5353}} {
				compare(t, v, p, verdict.Flow{From: verdict.End{Workload: name, Addr: from}, To: server, Proto: to.Proto, Port: to.First}, seen)
			}
		}
	}
	if seen[true] < 60 || seen[false] < 60 {
		t.Errorf("%d questions were allowed and %d denied: too few of one kind", seen[true], seen[false])
	}
	if d := v.judge("c", way{server: netip.MustParseAddrPort("9.9.9.9:53"), proto: program.ProtoUDP}, program.ParseName("other.test"), dns.TypeA); d.allow {
		t.Error("a workload without domain peers is judged by its names")
	}
	for addr, want := range map[string]bool{"10.0.0.2": true, "192.0.2.1": true, "198.51.100.4": false, "::ffff:10.0.0.2": true} {
		if got := v.forbidden(netip.MustParseAddr(addr)); got != want {
			t.Errorf("forbidden(%s) = %v, want %v", addr, got, want)
		}
	}
}

func at(text string) verdict.End { return verdict.End{Addr: netip.MustParseAddr(text)} }

func svc(text string) verdict.End {
	return verdict.End{Workload: "svc", Addr: netip.MustParseAddr(text)}
}

// compare asks both about many questions in one flow and counts what they allow. What is opened is what
// the evaluator takes the answer of this server to open.
func compare(t *testing.T, v *View, p *program.Program, flow verdict.Flow, seen map[bool]int) {
	t.Helper()
	// A flow that is denied, or has to hold no questions, never comes to the proxy.
	if verdict.Decide(&p.Rules, flow).L7 != program.L7DNS {
		return
	}
	workload, to := flow.From.Workload, way{netip.AddrPortFrom(flow.To.Addr, flow.Port), flow.To.Workload, flow.Proto}
	for _, name := range []string{
		"api.example.com", "x.cdn.example.com", "bad.example.com", "www.example.com", "example.com", "x.y.example.com", "www.example.org", "other.test",
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeANY} {
			n := program.ParseName(name)
			flow.Question = &verdict.Question{Name: n, Type: typ}
			want, got := verdict.Decide(&p.Rules, flow), v.judge(workload, to, n, typ)
			if rule := p.Rules.Source(want.Rule).Key; got.allow != (want.Action == verdict.Allow) || got.rule != rule {
				t.Errorf("%s asks %+v for %s %d: allow %v by %s, want %v by %s", workload, to, name, typ,
					got.allow, got.rule, want.Action, rule)
			}
			seen[got.allow]++
			if opened := opensBy(p, flow, n); got.allow && opens(typ) && opened != (len(got.sets) > 0) {
				t.Errorf("what %+v says to %s about %s opens %v, want %v", to, workload, name, got.sets, opened)
			}
		}
	}
}

// opensBy reports whether an answer about a name that came by a flow opens an address at some port that
// the rules name.
func opensBy(p *program.Program, flow verdict.Flow, n program.Name) bool {
	f := verdict.Flow{From: flow.From, To: at("192.88.99.7"), Proto: program.ProtoTCP, Answers: []verdict.Answer{{Name: n, Server: flow.To}}}
	if flow.From.Addr.Is6() {
		f.To = at("2a00::7")
	}
	for _, f.Port = range []uint16{80, 443} {
		if verdict.Decide(&p.Rules, f).Action == verdict.Allow {
			return true
		}
	}
	return false
}
