// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// peer is an end of a flow as rules see it: a workload, the host, or else world.
type peer struct {
	workload *program.Workload
	host     bool
	addr     netip.Addr
	resident *resident // of a workload or the host
}

// resolve says who an end is, false when it cannot be.
func (e *Evaluator) resolve(end End) (peer, bool) {
	p := peer{addr: end.Addr.Unmap()}
	if end.Workload == "" {
		p.resident = e.byAddr[p.addr]
		switch {
		case p.resident != nil:
			p.workload = p.resident.workload
		case e.isNode(p.addr):
			p.host, p.resident = true, e.itself
		}
		return p, p.addr.IsValid()
	}
	p.resident = e.byName[end.Workload]
	if p.resident == nil {
		return p, false
	}
	p.workload = p.resident.workload
	switch {
	case p.workload.Cgroup != "":
		return p, e.isNode(p.addr)
	case !p.addr.IsValid() && len(p.workload.Addresses) == 1:
		p.addr = p.workload.Addresses[0].Unmap()
	}
	return p, e.byAddr[p.addr] == p.resident
}

func (e *Evaluator) isNode(a netip.Addr) bool { return a.IsLoopback() || e.node[a] }

// subject reports whether p is one that this node enforces.
func (e *Evaluator) subject(p peer) bool {
	return p.workload != nil && p.workload.Local() || p.host && e.host
}

func (p peer) world() bool { return p.workload == nil && !p.host }

func (e *Evaluator) internet(p peer) bool {
	return p.world() && !contains(e.special, p.addr)
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// static reports whether p is among peers by what it is, whatever its names; subject is whose rule
// it is.
func (e *Evaluator) static(ps program.Peers, p, subject peer) bool {
	return e.isAny(ps.Include, p, subject) && !e.isAny(ps.Except, p, subject)
}

func (e *Evaluator) isAny(ts []program.Peer, p, subject peer) bool {
	for i := range ts {
		if e.is(&ts[i], p, subject) {
			return true
		}
	}
	return false
}

func (e *Evaluator) is(t *program.Peer, p, subject peer) bool {
	switch t.Kind {
	case program.PeerAny:
		return true
	case program.PeerWorkloads:
		return p.workload != nil
	case program.PeerHost:
		return p.host
	case program.PeerWorld:
		return p.world()
	case program.PeerInternet:
		return e.internet(p)
	case program.PeerSelector:
		return p.workload != nil && selects(t.Selector, p.workload)
	case program.PeerPrefix:
		return t.Prefix.Contains(p.addr)
	case program.PeerSame:
		return sameLabel(t.Key, p.workload, subject.workload)
	}
	return false
}

// sameLabel reports whether both workloads have a label and it is equal.
func sameLabel(key string, a, b *program.Workload) bool {
	if a == nil || b == nil {
		return false
	}
	x, inA := a.Label(key)
	y, inB := b.Label(key)
	return inA && inB && x == y
}

func hasDomain(ps program.Peers) bool {
	return slices.ContainsFunc(ps.Include, func(t program.Peer) bool { return t.Kind == program.PeerDomain })
}

// named reports whether n is among the domain peers of ps.
func named(ps program.Peers, n program.Name) bool {
	return !excepted(ps, n) && slices.ContainsFunc(ps.Include, func(t program.Peer) bool {
		return t.Kind == program.PeerDomain && t.Domain.Matches(n)
	})
}

// excepted reports whether ps takes n away.
func excepted(ps program.Peers, n program.Name) bool {
	return slices.ContainsFunc(ps.Except, func(t program.Peer) bool {
		return t.Kind == program.PeerDomain && t.Domain.Matches(n)
	})
}

// governs reports whether s selects w, or the host if that is nil.
func governs(s program.Subject, w *program.Workload) bool {
	if w == nil {
		return s.Host
	}
	return s.All || s.Selector != nil && selects(s.Selector, w)
}

func selects(s *program.Selector, w *program.Workload) bool {
	switch s.Op {
	case program.OpIn:
		value, has := w.Label(s.Key)
		return has && slices.Contains(s.Values, value)
	case program.OpHas:
		_, has := w.Label(s.Key)
		return has
	case program.OpNot:
		return !selects(s.Args[0], w)
	}
	for _, a := range s.Args {
		if selects(a, w) == (s.Op == program.OpOr) {
			return s.Op == program.OpOr
		}
	}
	return s.Op == program.OpAnd
}
