// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// checkInventory reports an inventory in which it is not certain who an address is.
func (c *compilation) checkInventory() {
	wrong := func(format string, args ...any) {
		c.diags.Add(diag.Diagnostic{Code: CodeInventory, Summary: fmt.Sprintf(format, args...)})
	}
	inv := &c.rules.Inventory
	if c.space.holds(inv) {
		return // only one without a mistake is ever held
	}
	owner := make(map[netip.Addr]int, len(inv.Workloads)) // of the workloads, -1 for this node
	name := func(i int) string {
		if i < 0 {
			return "this node"
		}
		return fmt.Sprintf("workload %q", inv.Workloads[i].Name)
	}
	for _, a := range inv.Node {
		owner[a.Unmap()] = -1
	}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		if i > 0 && inv.Workloads[i-1].Name >= w.Name {
			wrong("workloads %q and %q are not sorted by unique names", inv.Workloads[i-1].Name, w.Name)
		}
		for j := range w.Labels[min(1, len(w.Labels)):] {
			if w.Labels[j].Key >= w.Labels[j+1].Key {
				wrong("the labels of workload %q are not sorted by unique keys", w.Name)
			}
		}
		switch {
		case w.Cgroup != "" && w.Interface != "":
			wrong("workload %q has both an interface and a cgroup", w.Name)
		case w.Cgroup != "" && len(w.Addresses) > 0:
			wrong("workload %q lives in a cgroup and has an address of its own", w.Name)
		}
		for _, a := range w.Addresses {
			a = a.Unmap()
			switch other, taken := owner[a]; {
			case !a.IsValid() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "":
				wrong("workload %q cannot have the address %s", w.Name, a)
			case taken:
				wrong("the address %s belongs to workload %q and to %s", a, w.Name, name(other))
			}
			owner[a] = i
		}
	}
}

// checkTiers reports more tiers than verdicts can express, at the first declaration that is too many.
func (c *compilation) checkTiers() {
	more := len(c.rules.Tiers) - program.MaxTiers
	if more <= 0 {
		return
	}
	d := diag.Diagnostic{
		Code: CodeTooMany, Summary: fmt.Sprintf("%d tiers are more than %d", len(c.rules.Tiers), program.MaxTiers),
		Help: "join tiers between which no policy passes on",
	}
	if declared := c.module.TierPlaces; more <= len(declared) {
		d.Span = declared[len(declared)-more].Span
	}
	c.diags.Add(d)
}

// tooManyRules reports more rules of one table than verdicts can express, at the first that is too many.
func (s *scope) tooManyRules(most int) {
	s.diags.Add(diag.Diagnostic{
		Code: CodeTooMany, Span: s.rules[most].place().span,
		Summary: fmt.Sprintf("%s rules speak of one workload, and there may be %s", thousands(len(s.rules)), thousands(most)),
		Help:    "join rules for the same ports in one with several peers, or let fewer policies select this workload",
	})
}

// checkRule reports a rule that cannot be lowered.
func (p *policy) checkRule(r *program.Rule, d program.Direction) {
	rule := p.place(r.ID).rule
	add := func(code diag.Code, span diag.Span, help, format string, args ...any) {
		p.diags.Add(diag.Diagnostic{Code: code, Span: span, Summary: fmt.Sprintf(format, args...), Help: help})
	}
	if d == program.Ingress && hasDomain(r.Peers) {
		add(diag.DomainIngress, rule.PeersSpan, "", "a domain is a peer in egress only")
	}
	for _, l := range r.L4 {
		if !l.Any && l.Proto == noProto {
			add(diag.BadL4, rule.L4Span, "leave ip/0 out: no packet that is let through carries it", "protocol 0 is not supported")
		}
	}
	if r.L7 == nil {
		return
	}
	if r.L7.Kind == program.L7DNS {
		p.checkDNS(r, add)
		return
	}
	ports := 0
	for _, l := range r.L4 {
		if l.Any || l.Proto != program.ProtoTCP {
			add(diag.L7Protocol, rule.L4Span, "write `tcp/any`, or ports of tcp", "%s works over tcp alone", r.L7.Kind)
			return
		}
		ports += int(l.Last) - int(l.First) + 1
	}
	if ports > program.MaxL7Ports {
		add(CodeL7Ports, rule.L4Span, "name the ports that are in use",
			"%s over %s ports: each needs a listener, and there may be %s", r.L7.Kind, thousands(ports), thousands(program.MaxL7Ports))
	}
}

// checkDNS: questions come over udp and tcp.
func (p *policy) checkDNS(r *program.Rule, add func(diag.Code, diag.Span, string, string, ...any)) {
	if slices.ContainsFunc(r.L4, func(l program.L4) bool {
		return l.Any || l.Proto != program.ProtoUDP && l.Proto != program.ProtoTCP
	}) {
		add(diag.L7Protocol, p.place(r.ID).rule.L4Span, "write `on udp/53, tcp/53`", "dns works over udp and tcp alone")
	}
}
