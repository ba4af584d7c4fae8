// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

const services = `
default deny
policy svc for svc {
  egress {
    out:   allow to world on tcp/7001, udp/7001, tcp/7007, udp/7007
    not:   deny to world on tcp/7002, udp/7002
    never: deny to world on tcp/7003, udp/7003 reject
    api:   allow to world on tcp/7004 http { GET "/x" }
    secret: allow to world on tcp/7005 tls { sni "a.example" }
    name:  allow to "a.example" on tcp/7010
    mates: allow to app, w1 on tcp/7001-7009, udp/7001
  }
}
policy app for app {
  ingress {
    open: allow from svc on tcp/7001
    host: allow from host on tcp/7002
    api:  allow from svc on tcp/7004 http { GET "/y" }
  }
}
policy w1 for w1 {
  ingress {
    open: allow from svc on tcp/7001
    api:  allow from svc on tcp/7004 http { GET "/y" }
  }
}
`

// What the hooks and the programs behind them do with real sockets is what the reference says of
// the same flow.
func TestHooksAgreeWithPolicy(t *testing.T) {
	n := newNode(t, func(cfg *Config) { cfg.Reject = false })
	w1 := n.Workloads[0]
	ports := []uint16{7001, 7002, 7003, 7004, 7005, 7006, 7007}
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, ports...)
	n.echo(w1.Host, []netip.Addr{w1.IPv4, w1.IPv6}, ports...)
	for _, port := range ports {
		startServer(t, n.Node, n.app, question, 0, port)
	}
	for _, port := range []uint16{nodeL7Port, nodeDNSPort} {
		startProxy(t, n.Node, n.proxy, n.cfg.Steering.Marks.Upstream, port)
	}
	p := n.apply(services)
	seen := map[verdict.Action]int{}
	// Each probe has a port of its own: a datagram from a port that was used before is no new flow.
	source := uint16(10000)
	for _, to := range []struct {
		name     string
		workload string
		v4, v6   netip.Addr
		ports    []uint16
	}{
		{"outside", "", n.C.IPv4, n.C.IPv6, ports},
		{"resolver", "", n.Resolver4, n.Resolver6, []uint16{53}},
		{"w1", "w1", w1.IPv4, w1.IPv6, ports},
		{"app", "app", n.inv.Node[0], n.inv.Node[len(n.inv.Node)-1], ports},
	} {
		for family, addr := range map[string]netip.Addr{
			"IPv4": to.v4, "IPv6": to.v6, "v4-mapped": netip.AddrFrom16(to.v4.As16()),
		} {
			for _, port := range to.ports {
				for _, use := range socketUses() {
					if to.workload == "app" && use.Type == unix.SOCK_DGRAM {
						continue // its server speaks TCP alone
					}
					use.To = netip.AddrPortFrom(addr, port)
					use.Source = netip.AddrPortFrom(netip.IPv6Unspecified(), source)
					if addr.Is4() {
						use.Source = netip.AddrPortFrom(netip.IPv4Unspecified(), source)
					}
					source++
					want := verdict.Decide(&p.Rules, n.flow(use, to.workload))
					seen[want.Action]++
					t.Run(fmt.Sprintf("%s %s %d %s", to.name, family, port, use.name()), func(t *testing.T) {
						n.compare(t, p, use, want, to.workload != "w1")
					})
				}
			}
		}
	}
	for _, a := range []verdict.Action{verdict.Deny, verdict.Allow, verdict.Redirect} {
		if seen[a] < 20 {
			t.Errorf("%v occurred %d times, want at least 20", a, seen[a])
		}
	}
}

// compare runs a probe of svc. A denial is certain to the hook where the source cannot matter.
func (n *node) compare(t *testing.T, p *program.Program, use probe, want verdict.Verdict, certain bool) {
	t.Helper()
	n.mu.Lock()
	n.events = nil
	n.mu.Unlock()
	got := use.run(t, n.Node, n.svc)
	switch {
	case want.Action == verdict.Deny:
		if got.Reply != "" {
			t.Errorf("probe = %v, want a denial", got)
		}
		certain = certain || want.Half == program.Egress
		if errno := deniedErrno(use, p, want); certain && got.Errno != errno {
			t.Errorf("probe = %v, want %v", got, errno)
		}
	case want.Action == verdict.Redirect:
		if !strings.HasPrefix(got.Reply, "proxy: ") || !strings.HasSuffix(got.Reply, " to "+unmapped(n.meant(use, got))) {
			t.Errorf("probe = %v, want the proxy to take it", got)
		}
	case got.Reply != question:
		t.Errorf("probe = %v, want %q", got, question)
	}
	e := n.waitEvent("the verdict on "+use.To.String(), func(e Event) bool {
		return e.Client == "svc" && e.Destination.Port() == use.To.Port()
	})
	rule := p.Rules.Source(want.Rule).Key
	action := map[Verdict]verdict.Action{Deny: verdict.Deny, Allow: verdict.Allow, Redirect: verdict.Redirect}[e.Verdict]
	if action != want.Action || e.Rule != rule || e.Half != want.Half {
		t.Errorf("event %+v, want %v by %s at %v", e, want.Action, rule, want.Half)
	}
}

// deniedErrno: the hooks tell a rejection from a drop; a datagram of a connected socket comes as far
// as the program that sees packets, which cannot. To a v4-mapped address every one has a hook.
func deniedErrno(use probe, p *program.Program, want verdict.Verdict) unix.Errno {
	rejects := strings.HasSuffix(p.Rules.Source(want.Rule).Key, ".never")
	if rejects && (use.Type == unix.SOCK_STREAM || use.Send || use.To.Addr().Is4In6()) {
		return unix.ECONNREFUSED
	}
	return unix.EPERM
}

// meant is the address that the proxy sees: of UDP that of the alias, which the policy never names.
func (n *node) meant(use probe, got outcome) netip.AddrPort {
	if use.Type == unix.SOCK_STREAM {
		return use.To
	}
	_, seen, _ := strings.Cut(got.Reply, " to ")
	sent, err := netip.ParseAddrPort(seen)
	if err != nil {
		return use.To
	}
	_, client, _ := strings.Cut(got.Reply, "proxy: ")
	client, _, _ = strings.Cut(client, " to ")
	from, err := netip.ParseAddrPort(client)
	if err != nil {
		return use.To
	}
	c, ok := n.d.Owner(unix.IPPROTO_UDP, from, sent)
	if !ok || c.Client != "svc" || c.Server.Addr() != use.To.Addr().Unmap() {
		return use.To
	}
	return sent
}

func socketUses() []probe {
	return []probe{
		{Type: unix.SOCK_STREAM},
		{Type: unix.SOCK_DGRAM},
		{Type: unix.SOCK_DGRAM, Send: true},
	}
}

func (p probe) name() string {
	switch {
	case p.Type == unix.SOCK_STREAM:
		return "TCP"
	case p.Send:
		return "UDP"
	}
	return "UDP connected"
}

// flow is what a probe of svc means to the reference.
func (n *node) flow(use probe, server string) verdict.Flow {
	f := verdict.Flow{
		From: verdict.End{Workload: "svc"}, To: verdict.End{Workload: server, Addr: use.To.Addr().Unmap()},
		Proto: unix.IPPROTO_TCP, Port: use.To.Port(),
	}
	if use.Type == unix.SOCK_DGRAM {
		f.Proto = unix.IPPROTO_UDP
	}
	for _, a := range n.inv.Node {
		if a.Is4() == f.To.Addr.Is4() {
			f.From.Addr = a
		}
	}
	return f
}
