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
	names    []program.Name // those that can open addr
}

// resolve says who an end is, false when it cannot be.
func resolve(inv *program.Inventory, e End) (peer, bool) {
	p := peer{addr: e.Addr.Unmap()}
	if e.Workload != "" {
		i := slices.IndexFunc(inv.Workloads, func(w program.Workload) bool { return w.Name == e.Workload })
		if i < 0 {
			return peer{}, false
		}
		p.workload = &inv.Workloads[i]
		if p.workload.Cgroup != "" {
			return p, isNode(inv, p.addr)
		}
		if !p.addr.IsValid() && len(p.workload.Addresses) == 1 {
			p.addr = p.workload.Addresses[0].Unmap()
		}
		return p, owns(p.workload, p.addr)
	}
	for i := range inv.Workloads {
		if owns(&inv.Workloads[i], p.addr) {
			p.workload = &inv.Workloads[i]
			return p, true
		}
	}
	p.host = isNode(inv, p.addr)
	return p, p.addr.IsValid()
}

func owns(w *program.Workload, a netip.Addr) bool {
	return slices.ContainsFunc(w.Addresses, func(b netip.Addr) bool { return b.Unmap() == a })
}

func isNode(inv *program.Inventory, a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(inv.Node, func(b netip.Addr) bool { return b.Unmap() == a })
}

// local reports whether p is a subject that this node enforces.
func (p peer) local() bool { return p.workload != nil && p.workload.Local() }

func (p peer) world() bool { return p.workload == nil && !p.host }

func (p peer) internet() bool {
	return p.world() && !slices.ContainsFunc(program.SpecialPurpose(), func(q netip.Prefix) bool { return q.Contains(p.addr) })
}

// static reports whether p is among peers by what it is, whatever its names.
func static(ps program.Peers, p peer) bool {
	is := func(t program.Peer) bool { return isPeer(t, p) }
	return slices.ContainsFunc(ps.Include, is) && !slices.ContainsFunc(ps.Except, is)
}

func isPeer(t program.Peer, p peer) bool {
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
		return p.internet()
	case program.PeerSelector:
		return p.workload != nil && selects(t.Selector, p.workload)
	case program.PeerPrefix:
		return t.Prefix.Contains(p.addr)
	}
	return false
}

// named reports whether n is among the domain peers of ps.
func named(ps program.Peers, n program.Name) bool {
	is := func(t program.Peer) bool { return t.Kind == program.PeerDomain && t.Domain.Matches(n) }
	return slices.ContainsFunc(ps.Include, is) && !slices.ContainsFunc(ps.Except, is)
}

// both reports whether one domain peer of ps has both names.
func both(ps program.Peers, a, b program.Name) bool {
	return named(ps, a) && named(ps, b) && slices.ContainsFunc(ps.Include, func(t program.Peer) bool {
		return t.Kind == program.PeerDomain && t.Domain.Matches(a) && t.Domain.Matches(b)
	})
}

func hasDomain(ps program.Peers) bool {
	return slices.ContainsFunc(ps.Include, func(t program.Peer) bool { return t.Kind == program.PeerDomain })
}

// governs reports whether s selects w.
func governs(s program.Subject, w *program.Workload) bool {
	return s.All || s.Selector != nil && selects(s.Selector, w)
}

func selects(s *program.Selector, w *program.Workload) bool {
	holds := func(a *program.Selector) bool { return selects(a, w) }
	value, has := w.Label(s.Key)
	switch s.Op {
	case program.OpIn:
		return has && slices.Contains(s.Values, value)
	case program.OpHas:
		return has
	case program.OpAnd:
		return !slices.ContainsFunc(s.Args, func(a *program.Selector) bool { return !holds(a) })
	case program.OpOr:
		return slices.ContainsFunc(s.Args, holds)
	}
	return !holds(s.Args[0])
}
