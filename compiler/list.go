// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// list is a list of peers other than domains, and who is among them. Lists of equal text are one.
type list struct {
	text    string
	peers   program.Peers
	members []*identity // sorted by key
	// strangers are among them: see stranger.
	strangers bool
	ranges    []program.Ranges // of the addresses of the members; nil until it is asked for
}

// stranger is the identity after which the first class of every table is made: a workload of which
// nothing is known.
func stranger() *identity {
	return &identity{owner: workload, prefix: netip.MustParsePrefix("0.0.0.0/0")}
}

// list finds the list of some peers, whose text is given.
func (s *space) list(text string, ps program.Peers) *list {
	l := s.lists[text]
	if l == nil {
		l = &list{text: text, peers: ps, strangers: stranger().among(ps)}
		s.fill(l)
		s.lists[text] = l
	}
	return l
}

// fill finds the members of l.
func (s *space) fill(l *list) {
	for _, p := range l.peers.Include {
		for _, ids := range s.candidates(p) {
			for _, id := range ids {
				if id.mark != l && id.among(l.peers) {
					id.mark = l
					l.members = append(l.members, id)
				}
			}
		}
	}
	slices.SortFunc(l.members, func(a, b *identity) int { return cmp.Compare(a.index, b.index) })
}

// candidates returns sets of identities in which all of a peer are.
func (s *space) candidates(p program.Peer) [][]*identity {
	switch p.Kind {
	case program.PeerHost:
		return s.byOwner[host:][:1]
	case program.PeerWorld, program.PeerInternet:
		return s.byOwner[world:][:1]
	case program.PeerPrefix:
		first, end := s.within(p.Prefix.Masked())
		return s.byCell[first:end]
	case program.PeerSelector:
		asked := asksLabel(p.Selector)
		if asked == nil {
			return s.byOwner[workload:][:1]
		}
		var sets [][]*identity
		for _, l := range asked {
			sets = append(sets, s.byLabel[l])
		}
		return sets
	}
	return [][]*identity{s.identities}
}

// rangesOf returns the addresses of a list's members.
func (s *space) rangesOf(l *list) []program.Ranges {
	if l.ranges == nil {
		l.ranges = s.ranges(l.members, true)
	}
	return l.ranges
}

// ranges returns the addresses of some identities, or of all others, as ranges whose union they are.
// An address that is among them inside of a prefix that is not, inside of one that is, goes to a range
// of its own.
func (s *space) ranges(ids []*identity, among bool) []program.Ranges {
	in := make([]bool, len(s.identities))
	for i := range in {
		in[i] = !among
	}
	for _, id := range ids {
		in[id.index] = among
	}
	type node struct {
		in    bool
		level int
	}
	nodes := make([]node, len(s.addresses))
	levels := []program.Ranges{}
	for i, a := range s.addresses {
		n, outer := node{in: in[a.Identity], level: -1}, false
		if s.around[i] >= 0 {
			n.level, outer = nodes[s.around[i]].level, nodes[s.around[i]].in
		}
		switch {
		case n.in && !outer:
			n.level++
			if n.level == len(levels) {
				levels = append(levels, program.Ranges{})
			}
			levels[n.level].Include = append(levels[n.level].Include, a.Prefix)
		case !n.in && outer:
			levels[n.level].Except = append(levels[n.level].Except, a.Prefix)
		}
		nodes[i] = n
	}
	return levels
}
