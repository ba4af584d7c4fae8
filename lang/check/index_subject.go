// SPDX-License-Identifier: Apache-2.0

package check

import "mpol/compiler/program"

// search looks for the first rule in file order that meets takes.
type search struct {
	meets func(*placed) bool
	found *placed
}

// past reports whether a place is behind what is found.
func (s *search) past(place int) bool { return s.found != nil && s.found.place <= place }

// try looks for it in a list, which is in file order.
func (s *search) try(list []*placed) {
	for _, r := range list {
		if s.past(r.place) {
			return
		}
		if s.meets(r) {
			s.found = r
			return
		}
	}
}

// subjectIndex finds groups of rules by a subject that they share with another rule. The zero value is
// empty.
type subjectIndex struct {
	groups map[groupKey]*group
	labels labelIndex[*group]
	every  []*group // of all workloads
	host   []*group
}

// groupKey is what the rules of a group have in common: the subject, the tier and what else the owner of
// the index tells apart.
type groupKey struct {
	subject string
	tier    int
	more    string
}

// group is rules of one key.
type group struct {
	first *placed // in file order
	peers peerIndex
}

// group returns the group of a rule, which stands behind all that are there.
func (x *subjectIndex) group(c *checker, r *placed, more string) *group {
	key := groupKey{subject: c.subjectText(r.policy.Subject), tier: r.policy.Tier, more: more}
	g := x.groups[key]
	if g != nil {
		return g
	}
	if x.groups == nil {
		x.groups = map[groupKey]*group{}
	}
	g = &group{first: r}
	x.groups[key] = g
	switch s := r.policy.Subject; {
	case s.Host:
		x.host = append(x.host, g)
	case s.Selector == nil:
		x.every = append(x.every, g)
	default:
		x.labels.add(s.Selector, g)
	}
	return g
}

// each calls f with the groups that share a subject with a rule, as far as they are not past what s has
// found.
func (x *subjectIndex) each(c *checker, r *placed, s *search, f func(*group)) {
	some := func(list []*group) {
		for _, g := range list {
			if s.past(g.first.place) {
				return
			}
			c.compared++
			if c.subjectsMeet(r.policy.Subject, g.first.policy.Subject) {
				f(g)
			}
		}
	}
	switch subject := r.policy.Subject; {
	case subject.Host:
		some(x.host)
		return
	case subject.Selector == nil:
		x.labels.each(&program.Selector{Op: program.OpAnd}, some)
	default:
		x.labels.each(subject.Selector, some)
	}
	some(x.every)
}

// first returns the first rule that shares a subject with r and that meets takes, nil when there is none.
// Meets must take all rules of a group or none.
func (x *subjectIndex) first(c *checker, r *placed, meets func(*placed) bool) *placed {
	s := search{meets: meets}
	x.each(c, r, &s, func(g *group) { s.try([]*placed{g.first}) })
	return s.found
}

// firstName returns the first rule that shares a subject and a name with r, nil when there is none.
func (x *subjectIndex) firstName(c *checker, r *placed) *placed {
	s := search{meets: func(o *placed) bool { return c.sharesName(r, o) }}
	x.each(c, r, &s, func(g *group) { g.peers.findNames(r, &s) })
	return s.found
}
