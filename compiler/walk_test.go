// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// walk judges flows and questions by Tables alone, as the comments of package program tell the
// datapath, the DNS proxy and the L7 proxy to.
type walk struct {
	t    *program.Tables
	host *program.Bound // nil where nobody judges it
}

func newWalk(t *program.Tables) walk {
	w := walk{t: t}
	if t.Host != nil {
		w.host = &program.Bound{Cgroup: "the host's", Egress: t.Host.Egress, Ingress: t.Host.Ingress}
	}
	return w
}

// walkEnd is an end as the datapath sees it.
type walkEnd struct {
	identity     int
	bound        *program.Bound // of a local workload
	owned, world bool
}

// walked is the result of a flow, and for what follows on it its halves.
type walked struct {
	action   verdict.Action
	half     program.Direction
	rule     string
	l7       program.L7Kind
	rowless  bool             // a redirect to a proxy of requests without a profile row
	profile  *program.Profile // of a redirect to a proxy of requests
	judged   bool
	conflict bool
	egress   walkHalf
	ingress  walkHalf
}

func (w walk) end(e verdict.End) walkEnd {
	a := w.address(e.Addr)
	if e.Workload == "" {
		bound := w.bound(a.Workload)
		if a.Node {
			bound = w.host
		}
		return walkEnd{identity: a.Identity, bound: bound, owned: a.Owned, world: !a.Owned}
	}
	for _, s := range w.t.Sockets {
		if s.Workload == e.Workload && s.Cell == a.Cell {
			return walkEnd{identity: s.Identity, bound: w.bound(e.Workload), owned: a.Owned}
		}
	}
	return walkEnd{identity: a.Identity, bound: w.bound(a.Workload), owned: a.Owned}
}

// address finds the longest prefix.
func (w walk) address(addr netip.Addr) program.Address {
	var best program.Address
	for _, a := range w.t.Addresses {
		if a.Prefix.Contains(addr) && (!best.Prefix.IsValid() || a.Prefix.Bits() > best.Prefix.Bits()) {
			best = a
		}
	}
	return best
}

func (w walk) bound(name string) *program.Bound {
	for i := range w.t.Subjects {
		if name != "" && w.t.Subjects[i].Workload == name {
			return &w.t.Subjects[i]
		}
	}
	return nil
}

// entry: a port, a range, the protocol, any protocol.
func (w walk) entry(cl *program.Class, proto uint8, port uint16) program.Verdict {
	var narrow, wide, all *program.Verdict
	for i := range cl.Entries {
		e := &cl.Entries[i]
		switch {
		case e.Proto == 0:
			all = &e.Verdict
		case e.Proto != proto || port < e.First || port > e.Last:
		case e.First == 0 && e.Last == 0xffff:
			wide = &e.Verdict
		case narrow != nil:
			panic("two narrow entries for one port")
		default:
			narrow = &e.Verdict
		}
	}
	for _, v := range []*program.Verdict{narrow, wide, all} {
		if v != nil {
			return *v
		}
	}
	return program.Verdict{Rank: 255}
}

// walkHalf is what one half says.
type walkHalf struct {
	exists   bool
	table    int
	class    int
	verdict  program.Verdict
	conflict bool
	taking   []int // classes of the name sets that took part
}

func (w walk) half(subject *program.Bound, d program.Direction, other walkEnd, f verdict.Flow) walkHalf {
	if subject == nil {
		return walkHalf{table: -1, class: -1}
	}
	h := walkHalf{exists: true, table: subject.Egress, class: -1, verdict: w.t.Ungoverned}
	if d == program.Ingress {
		h.table = subject.Ingress
	}
	if h.table < 0 {
		return h
	}
	t := &w.t.Tables[h.table]
	h.class = t.Class(other.identity)
	h.verdict = w.entry(&t.Classes[h.class], f.Proto, f.Port)
	if d == program.Ingress || t.Names == nil || other.owned {
		return h
	}
	for _, a := range f.Answers {
		class, ok := nameClass(t.Names, a, t.Class(w.end(a.Server).identity), f.To.Addr)
		if !ok || slices.Contains(h.taking, class) {
			continue
		}
		v := w.entry(&t.Classes[class], f.Proto, f.Port)
		if v.Rank%4 == 1 {
			h.taking = append(h.taking, class)
		}
		h.merge(v)
	}
	h.verdict.Allow = h.verdict.Allow && !h.conflict
	return h
}

func (h *walkHalf) merge(v program.Verdict) {
	a, b := h.verdict, v
	h.conflict = h.conflict || a.L7 != program.L7None && b.L7 != program.L7None && a.L7 != b.L7 ||
		a.L7 == program.L7Mixed || b.L7 == program.L7Mixed
	if b.Rank < a.Rank || b.Rank == a.Rank && b.Order < a.Order {
		h.verdict = b
	}
	h.verdict.L7 = max(a.L7, b.L7)
}

// nameClass finds the set of exactly the peers that an answer gives an address to, which is not owned.
func nameClass(names *program.Names, a verdict.Answer, server int, addr netip.Addr) (int, bool) {
	var peers []int
	for i := range names.Peers {
		p := &names.Peers[i]
		in := func(ps []netip.Prefix) bool {
			return slices.ContainsFunc(ps, func(q netip.Prefix) bool { return q.Contains(addr) })
		}
		if p.Domain.Gives(a.Name, a.Via) && slices.ContainsFunc(p.Servers, func(s program.NameServer) bool { return serves(s, server, a.Name) }) &&
			(!in(program.SpecialPurpose()) || in(p.Domain.Private)) {
			peers = append(peers, i)
		}
	}
	if len(peers) == 0 {
		return 0, false
	}
	for _, s := range names.Sets {
		if slices.Equal(s.Peers, peers) {
			return s.Class, true
		}
	}
	panic("an answer gives an address to peers that are no name set")
}

func (w walk) flow(f verdict.Flow) walked {
	from, to := w.end(f.From), w.end(f.To)
	e := w.half(from.bound, program.Egress, to, f)
	i := w.half(to.bound, program.Ingress, from, f)
	if !e.exists && !i.exists || from.bound != nil && from.bound == to.bound {
		return walked{action: verdict.Allow}
	}
	r := walked{judged: true, half: program.Egress, rule: e.verdict.Rule, egress: e, ingress: i}
	if !e.exists || e.verdict.Allow && i.exists && (!i.verdict.Allow || e.verdict.L7 == 0 && (i.verdict.L7 != 0 || e.table < 0)) {
		r.half, r.rule = program.Ingress, i.verdict.Rule
	}
	if e.exists && !e.verdict.Allow || i.exists && !i.verdict.Allow {
		return r
	}
	if e.verdict.L7 != 0 && i.verdict.L7 != 0 && e.verdict.L7 != i.verdict.L7 {
		r.conflict = true
		return r
	}
	r.l7 = max(e.verdict.L7, i.verdict.L7)
	r.action = verdict.Allow
	if r.l7 == program.L7None {
		return r
	}
	r.action = verdict.Redirect
	if r.l7 != program.L7DNS {
		w.profile(&r, e, i, f, from.bound != nil && from.bound.Cgroup != "")
	}
	return r
}

// profile finds the row of each name set that took part; they must lead to one profile.
func (w walk) profile(r *walked, e, i walkHalf, f verdict.Flow, looped bool) {
	if len(e.taking) == 0 {
		e.taking = []int{-1}
	}
	want := program.ProfileRow{
		Egress: e.table, EgressClass: e.class, Ingress: i.table, IngressClass: i.class, Port: f.Port, Looped: looped,
	}
	for _, want.NameClass = range e.taking {
		n := slices.IndexFunc(w.t.ProfileRows, func(row program.ProfileRow) bool {
			row.Profile = 0
			return row == want
		})
		var p *program.Profile
		if n >= 0 {
			p = &w.t.Profiles[w.t.ProfileRows[n].Profile]
		} else if len(e.taking) == 1 {
			r.rowless = true
			return
		}
		if p == nil || r.profile != nil && r.profile != p {
			*r = walked{judged: true, half: r.half, rule: r.rule, conflict: true}
			return
		}
		r.profile = p
	}
}

// serves reports whether s is a server of a class about a name.
func serves(s program.NameServer, class int, n program.Name) bool {
	matches := func(p program.NamePattern) bool { return p.Matches(n) }
	return (len(s.Classes) == 0 || slices.Contains(s.Classes, class)) && (len(s.For) == 0 || slices.ContainsFunc(s.For, matches))
}

// question finds the verdict of the DNS proxy on a question of a flow. No rule is named where more than
// one may be to blame.
func (w walk) question(r walked, f verdict.Flow, q verdict.Question) (program.Verdict, program.Direction) {
	v := w.halfQuestion(r.egress, w.end(f.To), f, q)
	if !r.egress.exists || v.Allow && r.ingress.exists {
		if in := w.halfQuestion(r.ingress, w.end(f.From), f, q); !r.egress.exists || !in.Allow || r.egress.verdict.L7 == program.L7None {
			return in, program.Ingress
		}
	}
	return v, program.Egress
}

// halfQuestion is what one half says.
func (w walk) halfQuestion(h walkHalf, other walkEnd, f verdict.Flow, q verdict.Question) program.Verdict {
	silent := h.verdict.L7 == program.L7None // on what is in the flow
	switch {
	case h.table < 0:
		return h.verdict
	case silent && q.Type == 255:
		return program.Verdict{}
	}
	t := &w.t.Tables[h.table]
	best, class := h.verdict, t.Class(other.identity)
	if !silent {
		best = program.Verdict{Rank: 255, Order: 0xffff, Rule: t.Questions[len(t.Questions)-1].Verdict.Rule}
	}
	for _, p := range t.Questions {
		v := p.Verdict
		if silent && v.Allow || len(p.L4) > 0 && !slices.ContainsFunc(p.L4, func(l program.L4) bool { return l.Contains(f.Proto, f.Port) }) {
			continue
		}
		if !serves(p.NameServer, class, q.Name) || !p.Any && !p.Domain.Matches(q.Name) {
			continue
		}
		every := len(p.Types) == 0 && (q.Type != 255 || !v.Allow)
		if !every && !slices.Contains(p.Types, q.Type) {
			continue
		}
		if v.Rank < best.Rank || v.Rank == best.Rank && v.Order < best.Order {
			best = v
		}
	}
	return best
}
