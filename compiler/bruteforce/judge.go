// SPDX-License-Identifier: Apache-2.0

package bruteforce

import (
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Evaluator judges flows by Module among those of Inventory.
type Evaluator struct {
	Module    *check.Module
	Inventory program.Inventory
	// Bare removes every audit mark.
	Bare bool
}

// Verdict is what becomes of a flow: see verdict.Verdict. Without a half that decided, Rule is empty.
type Verdict struct {
	Action verdict.Action
	Reason verdict.Reason
	Half   program.Direction
	Rule   string // as verdicts name it
	Tier   string
	At     diag.Span // the rule or, of a default, the direction that it ends
}

// who is an end: labels of a workload, or host, or world.
type who struct {
	name, kind string // workload, host, world
	labels     map[string]string
	local      bool
	addr       netip.Addr
}

func (e *Evaluator) who(at verdict.End) who {
	w := who{kind: "world", addr: at.Addr}
	if slices.Contains(e.Inventory.Node, at.Addr) || at.Addr.IsLoopback() {
		w.kind = "host"
	}
	for _, x := range e.Inventory.Workloads {
		if x.Name == at.Workload || at.Workload == "" && slices.Contains(x.Addresses, at.Addr) {
			w = who{name: x.Name, kind: "workload", labels: map[string]string{}, local: x.Interface != "" || x.Cgroup != "", addr: at.Addr}
			for _, l := range x.Labels {
				w.labels[l.Key] = l.Value
			}
		}
	}
	if w.kind == "host" {
		for _, p := range e.Module.Policies {
			w.local = w.local || p.Subject.Host && (e.counts(p, p.Egress) || e.counts(p, p.Ingress))
		}
	}
	return w
}

// Judge judges a flow, or the question or request in it.
func (e *Evaluator) Judge(f verdict.Flow) Verdict {
	from, to := e.who(f.From), e.who(f.To)
	switch {
	case from.name != "" && from.name == to.name || from.kind == "host" && to.kind == "host":
		return Verdict{Action: verdict.Allow, Reason: verdict.Self}
	case !from.local && !to.local:
		return Verdict{Action: verdict.Allow, Reason: verdict.Foreign}
	}
	v, kind, names := e.both(from, to, f, request{}, verdict.Redirect)
	if v.Action != verdict.Redirect || f.HTTP == nil && f.TLS == nil && f.Question == nil {
		return v
	}
	q := request{kind: kind}
	switch {
	case kind == program.L7HTTP && f.HTTP != nil:
		raw, connect := f.HTTP.Path, strings.ToUpper(f.HTTP.Method) == "CONNECT"
		if connect && raw == "" {
			raw = "/"
		}
		path, ok := verdict.JudgePath(raw)
		if !ok || !verdict.IsMessage(f.HTTP) || (connect || f.HTTP.Upgrade != "") && !names {
			return Verdict{Reason: verdict.Refused}
		}
		q.path = path
	case kind == program.L7TLS && f.TLS != nil, kind == program.L7DNS && f.Question != nil:
	default:
		return Verdict{Reason: verdict.Unreadable}
	}
	v, _, _ = e.both(from, to, f, q, verdict.Allow)
	return v
}

// both makes the verdict of two halves; through is what becomes of an allowed flow with L7. It also says
// what the flow must speak, and whether a rule names the way in which the request leaves HTTP.
func (e *Evaluator) both(from, to who, f verdict.Flow, q request, through verdict.Action) (Verdict, program.L7Kind, bool) {
	out, in := e.half(program.Egress, from, to, f, q), e.half(program.Ingress, to, from, f, q)
	by := func(a verdict.Action, d program.Direction, h half) (Verdict, program.L7Kind, bool) {
		return Verdict{a, h.reason, d, h.by.name, h.by.tier, h.by.at}, max(out.kind, in.kind), out.names || in.names
	}
	switch {
	case out.exists && !out.allow:
		return by(verdict.Deny, program.Egress, out)
	case in.exists && !in.allow:
		return by(verdict.Deny, program.Ingress, in)
	case out.kind != 0 && in.kind != 0 && out.kind != in.kind:
		out.reason = verdict.Conflict
		return by(verdict.Deny, program.Egress, out)
	case out.kind != 0:
		return by(through, program.Egress, out)
	case in.kind != 0:
		return by(through, program.Ingress, in)
	case out.exists && (!in.exists || out.row):
		return by(verdict.Allow, program.Egress, out)
	}
	return by(verdict.Allow, program.Ingress, in)
}
