// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"net/netip"
	"testing"

	"mpol/compiler/program"
	"mpol/e2e/lab"
)

const shop = `
default deny
policy w1 for w1 {
  egress {
    web: allow to w2 on tcp/8080, udp/8080, icmp/8, icmpv6/128
    half: allow to w2 on tcp/8081
    out: allow to world on tcp/80
  }
}
policy w2 for w2 {
  ingress {
    web: allow from w1 on tcp/8080, tcp/8082, udp/8080, icmp/8, icmpv6/128
    host: allow from host on tcp/8080
  }
}
`

// Every row runs over IPv4 and IPv6; the rule is that of the event.
func TestDevices(t *testing.T) {
	n := newNode(t, nil)
	w1, w2, w3 := n.Workloads[0], n.Workloads[1], n.Workloads[2]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080, 8081, 8082)
	n.echo(w3.Host, []netip.Addr{w3.IPv4, w3.IPv6}, 8080)
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, 8080)
	if got := n.try(w3.Host, "tcp", netip.AddrPortFrom(w2.IPv4, 8080)); got != works {
		t.Fatalf("before any generation: %s, want %s", got, works)
	}
	n.apply(shop)
	type pair struct{ v4, v6 netip.Addr }
	rows := []struct {
		name    string
		from    *lab.Host
		network string
		to      pair
		port    uint16
		want    string
		half    program.Direction
		rule    string
	}{
		{"both halves", w1.Host, "tcp", pair{w2.IPv4, w2.IPv6}, 8080, works, program.Egress, "t.w1.web"},
		{"both halves udp", w1.Host, "udp", pair{w2.IPv4, w2.IPv6}, 8080, works, program.Egress, "t.w1.web"},
		{"server denies", w1.Host, "tcp", pair{w2.IPv4, w2.IPv6}, 8081, refused, program.Ingress, "t.w2.ingress:app.default"},
		{"client denies", w1.Host, "tcp", pair{w2.IPv4, w2.IPv6}, 8082, refused, program.Egress, "t.w1.egress:app.default"},
		{"client denies udp", w1.Host, "udp", pair{w2.IPv4, w2.IPv6}, 8081, refused, program.Egress, "t.w1.egress:app.default"},
		{"default", w1.Host, "tcp", pair{w3.IPv4, w3.IPv6}, 8080, refused, program.Egress, "t.w1.egress:app.default"},
		{"ungoverned", w3.Host, "tcp", pair{w2.IPv4, w2.IPv6}, 8080, refused, program.Egress, "default"},
		{"outside", w1.Host, "tcp", pair{n.C.IPv4, n.C.IPv6}, 8080, refused, program.Egress, "t.w1.egress:app.default"},
		{"from outside", n.Outside, "tcp", pair{w2.IPv4, w2.IPv6}, 8080, refused, program.Ingress, "t.w2.ingress:app.default"},
		{"from host", n.Node, "tcp", pair{w2.IPv4, w2.IPv6}, 8080, works, program.Ingress, "t.w2.host"},
		{"from host denied", n.Node, "tcp", pair{w2.IPv4, w2.IPv6}, 8081, refused, program.Ingress, "t.w2.ingress:app.default"},
	}
	for _, row := range rows {
		for _, addr := range []netip.Addr{row.to.v4, row.to.v6} {
			t.Run(row.name+" "+addr.String(), func(t *testing.T) {
				to := netip.AddrPortFrom(addr, row.port)
				got := n.try(row.from, row.network, to)
				e := n.waitEvent("an event of "+row.name, func(e Event) bool { return e.Destination == to })
				if got != row.want || e.Rule != row.rule || e.Half != row.half || (e.Verdict == Allow) != (got == works) {
					t.Errorf("got %s by %s of %s, want %s by %s of %s: %+v", got, e.Rule, e.Half, row.want, row.rule, row.half, e)
				}
			})
		}
	}
	for _, addr := range []netip.Addr{w2.IPv4, w2.IPv6} {
		if got := (lab.Client{Host: w1.Host}).Ping(t.Context(), addr); got.Exit != 0 {
			t.Errorf("ping %s: %+v", addr, got)
		}
	}
	if got := (lab.Client{Host: w1.Host}).Ping(t.Context(), w3.IPv4); got.Exit == 0 {
		t.Errorf("ping %s works, want it denied", w3.IPv4)
	}
}
