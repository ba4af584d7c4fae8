// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"mpol/agent/event"
	"mpol/agent/live"
	"mpol/bpf"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/dnsproxy"
	"mpol/l7proxy"
)

// flow turns a datapath event into a line.
func (a *Agent) flow(e bpf.Event) {
	out := event.Event{
		Time: e.Time, Generation: e.Generation, Kind: event.Flow, Workload: e.Client, Peer: e.Server,
		Source: e.Source, Destination: e.Destination, L4: l4(e.Proto, e.Destination.Port()),
		Verdict: e.Verdict.String(), Reason: e.Reason.String(),
	}
	if e.Proto == program.ProtoICMP || e.Proto == program.ProtoICMPv6 {
		out.Destination = netip.AddrPortFrom(e.Destination.Addr(), 0)
	}
	if e.Judged {
		out.Half = e.Half.String()
	}
	if g := a.at(e.Generation); g != nil {
		decide(&out, &g.program.Rules, g.rules[e.Rule])
	}
	a.events.Write(out)
}

// question turns a DNS event into a line: denials and failures always, answers where asked for.
func (a *Agent) question(e dnsproxy.Event) {
	if e.Verdict == dnsproxy.Allowed && !e.Log && !a.cfg.Events.All {
		return
	}
	out := event.Event{
		Time: e.Time, Generation: uint32(e.Generation), Kind: event.Question, Workload: e.Workload,
		Source: e.Client, Destination: e.Server, L4: l4(e.Proto, e.Server.Port()),
		Name: e.Name.String(), Verdict: program.Deny.String(), Half: program.Egress.String(), Reason: e.Reason,
	}
	if e.Type != 0 {
		out.Type = dnsproxy.TypeName(e.Type)
	}
	if e.Verdict == dnsproxy.Allowed {
		out.Verdict = program.Allow.String()
	}
	if g := a.at(out.Generation); g != nil {
		decide(&out, &g.program.Rules, g.rules[e.Rule])
	}
	a.events.Write(out)
}

// request turns a line of Envoy's log into one of ours. Envoy says what it did; which rule made it
// do so is found by the reference evaluator where the log cannot name it.
func (a *Agent) request(r l7proxy.Request) {
	number, err := strconv.ParseUint(r.Generation, 10, 32)
	if err != nil {
		number = 0 // the generation in force
	}
	g := a.at(uint32(number))
	if g == nil {
		return
	}
	wanted := r.Denied || a.cfg.Events.All || len(g.logged) > 0
	if !wanted && r.Kind == program.L7HTTP {
		return
	}
	out := event.Event{
		Time: r.Time, Generation: g.number, Kind: event.Request, Source: r.Client, Destination: r.Server,
		L4: l4(program.ProtoTCP, r.Server.Port()), Name: r.Host, Status: r.Code, Half: r.Half,
		Verdict: program.Allow.String(),
	}
	call, _ := a.datapath.Owner(program.ProtoTCP, r.Client, r.Server)
	out.Workload = call.Client
	f := verdict.Flow{
		From: verdict.End{Workload: out.Workload, Addr: r.Client.Addr()}, To: verdict.End{Addr: r.Server.Addr()},
		Proto: program.ProtoTCP, Port: r.Server.Port(),
		Names: a.dns.Names(out.Workload, r.Server.Addr()),
	}
	if r.Kind == program.L7TLS {
		out.Name = r.SNI
		f.TLS = &verdict.TLS{ServerName: r.SNI, Present: r.SNI != ""}
		if !a.opening(r, f) {
			return
		}
	} else {
		out.Request = r.Method + " " + r.Path
		f.HTTP = &verdict.HTTP{Method: r.Method, Path: r.Path, Host: r.Host}
	}
	if r.Denied {
		out.Verdict, out.Reason = program.Deny.String(), r.Details
	}
	explain(&out, g, f, r)
	if r.Denied || a.cfg.Events.All || g.logged[out.Rule] {
		a.events.Write(out)
	}
}

// opening keeps count of the live TLS connections and reports whether r is news: the end of one
// that was reported when it began is none.
func (a *Agent) opening(r l7proxy.Request, f verdict.Flow) bool {
	c := live.Conn{Client: r.Client, Server: r.Server}
	if !r.Opened {
		a.live.Remove(c)
		return r.Denied
	}
	a.live.Add(c, f)
	if g := a.at(0); strconv.FormatUint(uint64(g.number), 10) != r.Generation {
		a.endForbidden(g) // it was let through by rules that are no longer in force
	}
	return true
}

// endForbidden ends the live TLS connections that g would not let through, and reports each.
func (a *Agent) endForbidden(g *generation) {
	err := a.live.End(func(c live.Conn, f verdict.Flow) bool {
		v := verdict.Decide(&g.program.Rules, f)
		if v.Action != verdict.Deny {
			return false
		}
		out := event.Event{
			Time: time.Now(), Generation: g.number, Kind: event.Request, Workload: f.From.Workload,
			Source: c.Client, Destination: c.Server, L4: l4(f.Proto, f.Port), Name: f.TLS.ServerName,
			Verdict: program.Deny.String(), Half: v.Half.String(), Reason: "no longer allowed",
		}
		decide(&out, &g.program.Rules, v.Rule)
		a.events.Write(out)
		return true
	})
	if err != nil {
		a.log.Error("a forbidden TLS connection lives on", "error", err)
	}
}

// explain finds the rule that decided. Where the evaluator's verdict is another than Envoy's, which
// a switch between the two may cause, only what Envoy itself named is said.
func explain(out *event.Event, g *generation, f verdict.Flow, r l7proxy.Request) {
	v := verdict.Decide(&g.program.Rules, f)
	switch {
	case (v.Action == verdict.Deny) != r.Denied:
		decide(out, &g.program.Rules, g.rules[r.Rule])
	case v.Reason == verdict.Refused:
		out.Rule = "refused"
	default:
		out.Half = v.Half.String()
		decide(out, &g.program.Rules, v.Rule)
	}
}

// decide writes which rule decided and where it stands.
func decide(out *event.Event, rules *program.Rules, id program.RuleID) {
	s := rules.Source(id)
	out.Rule, out.File, out.Line = s.Name, s.File, s.Line
}

// l4 writes a protocol with its port as the language does.
func l4(proto uint8, port uint16) string {
	switch proto {
	case program.ProtoTCP:
		return fmt.Sprintf("tcp/%d", port)
	case program.ProtoUDP:
		return fmt.Sprintf("udp/%d", port)
	case program.ProtoSCTP:
		return fmt.Sprintf("sctp/%d", port)
	case program.ProtoICMP:
		return fmt.Sprintf("icmp/%d/%d", port>>8, port&0xff)
	case program.ProtoICMPv6:
		return fmt.Sprintf("icmpv6/%d/%d", port>>8, port&0xff)
	}
	return fmt.Sprintf("ip/%d", proto)
}
