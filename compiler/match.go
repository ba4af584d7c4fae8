// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// holds reports whether every address of id's cell under id's owner is of peer p, which is no
// domain. By the choice of the cells either all are or none.
func (id *identity) holds(p program.Peer) bool {
	switch p.Kind {
	case program.PeerAny:
		return true
	case program.PeerWorkloads:
		return id.owner == workload
	case program.PeerHost:
		return id.owner == host
	case program.PeerWorld:
		return id.owner == world
	case program.PeerInternet:
		return id.internet()
	case program.PeerSelector:
		return id.owner == workload && meets(id.labels, p.Selector)
	case program.PeerPrefix:
		return covers(p.Prefix, id.prefix)
	}
	return false
}

// opened reports whether names of d may open the addresses of id.
func (id *identity) opened(d *program.Domain) bool {
	return id.owner == world &&
		(id.internet() || slices.ContainsFunc(d.Private, func(q netip.Prefix) bool { return covers(q, id.prefix) }))
}

// internet reports whether id is world outside of the special-purpose blocks: where every name opens.
func (id *identity) internet() bool {
	return id.owner == world && !id.special
}

func meets(labels []program.Label, s *program.Selector) bool {
	switch s.Op {
	case program.OpIn, program.OpHas:
		for _, l := range labels {
			if l.Key == s.Key {
				return s.Op == program.OpHas || slices.Contains(s.Values, l.Value)
			}
		}
		return false
	case program.OpNot:
		return !meets(labels, s.Args[0])
	}
	for _, a := range s.Args {
		if meets(labels, a) == (s.Op == program.OpOr) {
			return s.Op == program.OpOr
		}
	}
	return s.Op == program.OpAnd
}

// among reports whether id is among some peers, none of which is a domain.
func (id *identity) among(ps program.Peers) bool {
	return slices.ContainsFunc(ps.Include, id.holds) && !slices.ContainsFunc(ps.Except, id.holds)
}

// static reports whether the peers of r other than domains hold for a class.
func static(r *scopeRule, c *class) bool { return holds(r.list, c) }

// holds reports whether a list of peers, -1 for none, holds for a class.
func holds(list int, c *class) bool { return c.holds != nil && list >= 0 && c.holds[list] }

// named reports whether a domain peer of r is in the name set of a class.
func named(r *scopeRule, c *class) bool {
	return slices.ContainsFunc(r.names, func(n ruleName) bool { return slices.Contains(c.names, n.peer) })
}
