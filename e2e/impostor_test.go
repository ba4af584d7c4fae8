// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// impostor listens at the DNS proxy's port and answers every question with the address of nobody.
func impostor(t *testing.T, n *node.Node, at netip.AddrPort) *atomic.Int64 {
	t.Helper()
	asked := new(atomic.Int64)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		asked.Add(1)
		answer := new(dns.Msg).SetReply(question)
		record, err := dns.NewRR(question.Question[0].Name + " 60 IN A 198.51.100.9")
		if err == nil {
			answer.Answer = append(answer.Answer, record)
		}
		_ = w.WriteMsg(answer) // the client may be gone
	})
	packets, err := n.World.Node.ListenPacket(at)
	check(t, err)
	listener, err := n.World.Node.Listen(at)
	check(t, err)
	for _, s := range []*dns.Server{
		{PacketConn: net.PacketConn(packets), Handler: handler}, {Listener: listener, Handler: handler},
	} {
		ready := make(chan struct{})
		s.NotifyStartedFunc = func() { close(ready) }
		go func() { _ = s.ActivateAndServe() }() // until Shutdown
		<-ready
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return asked
}

// TestNames_impostor puts another server in the place of a DNS proxy that died: it gets no question
// (dns-56).
func TestNames_impostor(t *testing.T) {
	t.Parallel()
	for _, at := range []netip.AddrPort{at("127.0.0.1", 15053), at("::1", 15053), at("::", 15053)} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			n := named(t, "")
			check(t, n.KillAgent(syscall.SIGKILL))
			asked := impostor(t, n, at)
			to := netip.MustParseAddr("127.0.0.1")
			if at.Addr() == netip.IPv6Loopback() {
				to = at.Addr()
			}
			compare(t, step{
				"the impostor is there",
				dig(t, lab.Client{Host: n.World.Node}, to, "a.example", "A", "-p", "15053"), "1 address",
			})
			before := asked.Load()
			for who, c := range clients(n) {
				for version, f := range families(n) {
					for _, transport := range []string{"+notcp", "+tcp"} {
						got := dig(t, c, f.resolver, "a.example", "A", transport, "+timeout=1")
						compare(t, step{who + " " + version + " " + transport, noAnswer(got), "no answer"})
					}
				}
			}
			if got := asked.Load() - before; got != 0 {
				t.Errorf("the impostor got %d questions, want none", got)
			}
		})
	}
}

// TestRequests_impostor puts another server in the place of an Envoy that died: it gets no
// connection.
func TestRequests_impostor(t *testing.T) {
	t.Parallel()
	n := requesting(t)
	get := func(c lab.Client, port uint16) string {
		to := netip.AddrPortFrom(n.Workloads[1].IPv4, port)
		return c.Curl(t.Context(), "--max-time", "2", "http://"+to.String()+"/public/1").Outcome()
	}
	for who, c := range clients(n) {
		compare(t, step{who + " through Envoy", get(c, 8080), "200"})
	}
	ports := listening(t, n)
	check(t, n.KillAgent(syscall.SIGKILL))
	check(t, n.KillEnvoy())
	var impostors []*lab.Web
	for _, port := range ports {
		w, err := n.World.Node.Web(lab.WebConfig{Name: "impostor", Plain: []netip.AddrPort{at("127.0.0.1", port), at("::1", port)}})
		check(t, err)
		impostors = append(impostors, w)
		own := lab.Client{Host: n.World.Node}.Curl(t.Context(), "http://"+at("127.0.0.1", port).String())
		compare(t, step{"the impostor is there", own.Outcome(), "200"})
	}
	for who, c := range clients(n) {
		compare(t,
			step{who + " without Envoy", get(c, 8080), lab.Refused},
			step{who + " what needs none", get(c, 9090), "200"})
	}
	for _, w := range impostors {
		if seen := w.Requests(); len(seen) != 1 {
			t.Errorf("an impostor got %d requests, want its own alone", len(seen))
		}
	}
}
