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
	peers   program.Peers
	members []*identity // sorted by key
	// strangers are among them: see stranger. others are those of whom it says something else than of
	// strangers, sorted by key.
	strangers bool
	others    []*identity

	changed int // the run in which the members changed last
	used    int // the last run that needed it
}

// stranger is the identity after which the first class of every table is made: a workload of which
// nothing is known.
func stranger() *identity {
	return &identity{kin: &kin{owner: workload}, prefix: netip.MustParsePrefix("0.0.0.0/0")}
}

// list finds the list of some peers, whose text is given.
func (s *space) list(text string, ps program.Peers, run int) *list {
	l := s.lists[text]
	if l == nil {
		l = &list{peers: ps, strangers: stranger().among(ps)}
		s.fill(l, run)
		s.lists[text] = l
	}
	l.used = run
	return l
}

// fill looks for the members of l among all identities.
func (s *space) fill(l *list, run int) {
	before := l.others
	l.members = s.among(l.peers)
	if l.others = l.members; l.strangers {
		rest := l.members
		l.others = slices.DeleteFunc(slices.Clone(s.identities), func(id *identity) bool {
			is := len(rest) > 0 && rest[0] == id
			if is {
				rest = rest[1:]
			}
			return is
		})
	}
	if l.changed == 0 || !slices.Equal(before, l.others) {
		l.changed = run
	}
}

// updateLists makes the members of every list right: some identities came and, if gone is set, some
// went.
func (s *space) updateLists(came []*identity, gone bool, run int) {
	many := len(came) > len(s.identities)/4 // then it is less work to look for all
	went := func(id *identity) bool { return id.run != run }
	for _, l := range s.lists {
		if many {
			s.fill(l, run)
			continue
		}
		var members, others []*identity
		for _, id := range came {
			is := id.among(l.peers)
			if is {
				members = append(members, id)
			}
			if is != l.strangers {
				others = append(others, id)
			}
		}
		if len(others) > 0 || gone && slices.ContainsFunc(l.others, went) {
			l.changed = run
			l.others = merged(slices.DeleteFunc(slices.Clone(l.others), went), others, byIndex)
		}
		if len(members) > 0 || gone && slices.ContainsFunc(l.members, went) {
			l.members = merged(slices.DeleteFunc(slices.Clone(l.members), went), members, byIndex)
		}
	}
}

// among returns the identities among some peers.
func (s *space) among(ps program.Peers) []*identity {
	if s.index == nil {
		s.index = newIndex(s)
	}
	s.asked++
	var members []*identity
	for _, p := range ps.Include {
		for _, ids := range s.candidates(p) {
			for _, id := range ids {
				if id.mark != s.asked && id.among(ps) {
					id.mark = s.asked
					members = append(members, id)
				}
			}
		}
	}
	slices.SortFunc(members, byIndex)
	return members
}

func byIndex(a, b *identity) int { return cmp.Compare(a.index, b.index) }

// index finds identities by what they have.
type index struct {
	byOwner [3][]*identity
	byCell  [][]*identity
	byLabel map[program.Label][]*identity
}

func newIndex(s *space) *index {
	x := &index{byCell: make([][]*identity, len(s.prefixes)), byLabel: make(map[program.Label][]*identity)}
	for _, id := range s.identities {
		x.byOwner[id.owner] = append(x.byOwner[id.owner], id)
		x.byCell[id.cell] = append(x.byCell[id.cell], id)
		for _, l := range id.labels {
			x.byLabel[l] = append(x.byLabel[l], id)
		}
	}
	return x
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
