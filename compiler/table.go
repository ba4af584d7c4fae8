// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// lowerSubjects makes the tables that local workloads need and binds the workloads to them. It ends,
// and returns false, as soon as that is more than a node holds.
func (c *compilation) lowerSubjects() bool {
	c.findScopes()
	if !c.lowerScopes() {
		return false
	}
	c.writeMembers()
	c.tables.Tables = make([]program.Table, len(c.scopes))
	for i, s := range c.scopes {
		c.tables.Tables[i] = s.table
	}
	c.tables.Subjects = make([]program.Bound, 0, len(c.space.residents))
	for _, r := range c.space.residents {
		if r.Local() {
			c.tables.Subjects = append(c.tables.Subjects, program.Bound{
				Workload: r.Name, Interface: r.Interface, Cgroup: r.Cgroup, Egress: r.table(program.Egress), Ingress: r.table(program.Ingress),
			})
		}
	}
	if c.space.judged {
		c.tables.Host = &program.Halves{Egress: c.space.host.table(program.Egress), Ingress: c.space.host.table(program.Ingress)}
	}
	c.forget()
	return true
}

// lowerScopes makes the tables that are not as they should be, until they are more than a node holds.
func (c *compilation) lowerScopes() bool {
	var spent budget
	for i, s := range c.scopes {
		s.number = i
		if c.stale(s) {
			c.lowerScope(s)
		}
		c.diags = append(c.diags, s.diags...)
		if spent.add(s.spent); !spent.within(&c.limits) {
			c.limitTables(spent, c.scopes[:i+1])
			c.putOff(c.scopes[i+1:])
			return false
		}
	}
	return true
}

// putOff leaves scopes to another run.
func (c *compilation) putOff(rest []*scope) {
	for _, s := range rest {
		for _, l := range s.found {
			l.used = c.run
		}
	}
	c.scopes = slices.DeleteFunc(c.scopes, func(s *scope) bool { return s.lowered == 0 })
	c.forget()
}

// findScopes finds the scopes of all subjects. Those of the last run are in order.
func (c *compilation) findScopes() {
	var came []*scope
	for _, r := range c.space.residents {
		if r.Local() && r.kin.run != c.run {
			came = c.govern(r.kin, came)
		}
	}
	if c.space.judged {
		came = c.govern(c.space.host, came)
	}
	byKey := func(a, b *scope) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.lineage, b.lineage)) }
	slices.SortFunc(came, byKey)
	c.scopes = slices.DeleteFunc(c.scopes, func(s *scope) bool { return s.used != c.run })
	if len(came) > 0 {
		c.scopes = merged(c.scopes, came, byKey)
	}
}

// govern finds the scopes of a kin that is on this node, and adds those that are new to came.
func (c *compilation) govern(k *kin, came []*scope) []*scope {
	k.run = c.run
	for d := range k.scopes {
		if !k.known {
			c.settle(k, program.Direction(d))
		}
		if s := k.scopes[d]; s != nil && s.used != c.run {
			s.used = c.run
			if s.lowered == 0 {
				came = append(came, s)
			}
		}
	}
	k.known = true
	return came
}

// settle finds the scope of a kin in a direction.
func (c *compilation) settle(k *kin, d program.Direction) {
	old, now := k.scopes[d], c.scope(&c.rules, k, d)
	if old == now {
		return
	}
	k.scopes[d] = now
	for _, s := range []*scope{old, now} {
		if s == nil {
			c.ungoverned = c.run
		} else {
			s.settled = c.run
		}
	}
}

// table is the number of the table that judges a kin, -1 for none.
func (k *kin) table(d program.Direction) int {
	if k.scopes[d] == nil {
		return -1
	}
	return k.scopes[d].number
}

// forget lets go of what no subject needs any more.
func (c *compilation) forget() {
	for k := range c.space.subjects() {
		if k.run != c.run {
			k.known, k.scopes = false, [2]*scope{}
		}
	}
	maps.DeleteFunc(c.governing.scopes, func(_ string, s *scope) bool { return s.used != c.run })
	maps.DeleteFunc(c.space.lists, func(_ string, l *list) bool { return l.used != c.run })
}

// stale reports whether the table of s is not that of the identities and addresses as they are now.
func (c *compilation) stale(s *scope) bool {
	if s.found == nil {
		for j, ps := range s.lists {
			s.found = append(s.found, c.space.list(s.texts[j], ps, c.run))
		}
	}
	last := 0
	for _, l := range s.found {
		l.used, last = c.run, max(last, l.changed)
	}
	return s.lowered == 0 || s.lowered < last
}

// lowerScope fills in the table of s but for its members.
func (c *compilation) lowerScope(s *scope) {
	classes, whom, sorted := s.classes, s.whom, s.sorted
	s.lowered, s.sorted, s.diags, s.spent, s.classes, s.members = c.run, c.run, nil, budget{}, nil, nil
	s.table = program.Table{Key: s.key, Lineage: s.lineage, Direction: s.direction}
	if len(s.rules) > c.limits.Rules {
		s.tooManyRules(c.limits.Rules)
		return
	}
	if !s.classify(c.space.identities, &c.limits) || !s.nameSets(&c.limits) {
		return
	}
	s.whom = slices.DeleteFunc(slices.Clone(s.members), func(m member) bool { return len(s.classes[m.class].requests) == 0 })
	if slices.Equal(whom, s.whom) && slices.EqualFunc(classes, s.classes, func(a, b class) bool { return a.key == b.key }) {
		s.sorted = sorted
	}
	s.table.Classes = make([]program.Class, len(s.classes))
	for i, cl := range s.classes {
		s.table.Classes[i] = program.Class{Key: cl.key, Names: i >= s.names, Entries: cl.entries}
	}
	if s.proxied || s.offered {
		s.table.Questions = s.questions()
	}
}

// writeMembers brings the members of the tables to the numbers of the identities.
func (c *compilation) writeMembers() {
	old := func(s *scope) bool { return s.placed < max(s.lowered, c.space.renumbered) }
	size := 0
	for _, s := range c.scopes {
		if old(s) {
			size += len(s.members)
		}
	}
	room := make([]program.Member, 0, size)
	for _, s := range c.scopes {
		if !old(s) {
			continue
		}
		first := len(room)
		for _, m := range s.members {
			room = append(room, program.Member{Identity: m.id.index, Class: m.class})
		}
		s.table.Members, s.placed = slices.Clip(room[first:]), c.run
	}
}

// member is an identity and its class.
type member struct {
	id    *identity
	class int
}

// classify folds the identities that the lists of peers do not tell apart. Who is of no list's others
// is like a stranger. It returns false as soon as that is more than a node holds.
func (s *scope) classify(identities []*identity, limits *program.Limits) bool {
	unlike := s.unlike()
	of, number := make([]*class, 0, len(unlike)), make(map[*class]int)
	s.members = make([]member, 0, len(unlike))
	var lists []int
	for len(unlike) > 0 {
		id := unlike[0] >> 32
		for lists = lists[:0]; len(unlike) > 0 && unlike[0]>>32 == id; unlike = unlike[1:] {
			lists = append(lists, int(uint32(unlike[0])))
		}
		cl := s.class(lists)
		s.members, of, number[cl] = append(s.members, member{id: identities[id]}), append(of, cl), 0
	}
	if s.spent.members = len(of); !s.spent.within(limits) {
		return false
	}
	others := slices.SortedFunc(maps.Keys(number), func(a, b *class) int { return cmp.Compare(a.key, b.key) })
	s.classes = make([]class, 0, 1+len(others))
	for i, cl := range slices.Insert(others, 0, s.class(nil)) {
		number[cl] = i
		if !s.spend(cl, limits) {
			return false
		}
	}
	s.names = len(s.classes)
	for i, cl := range of {
		s.members[i].class = number[cl]
	}
	return true
}

// unlike returns, sorted, the index of each identity with the number of each list, in the lower half,
// that says something else of it than of strangers.
func (s *scope) unlike() []uint64 {
	size := 0
	for _, l := range s.found {
		size += len(l.others)
	}
	all := make([]uint64, 0, size)
	for j, l := range s.found {
		for _, id := range l.others {
			all = append(all, uint64(id.index)<<32|uint64(j))
		}
	}
	slices.Sort(all)
	return all
}

// class finds the class, not always lowered, of whom some lists say something else than of strangers.
func (s *scope) class(unlike []int) *class {
	var room [32]byte
	text := room[:0]
	for _, j := range unlike {
		text = binary.AppendUvarint(text, uint64(j))
	}
	cl := s.made[string(text)]
	if cl == nil {
		cl = s.newClass(unlike)
		if s.made == nil {
			s.made = make(map[string]*class)
		}
		s.made[string(text)] = cl
	}
	return cl
}

// spend lowers a class, unless it is, and adds it. It returns false when the classes are more than a
// node holds.
func (s *scope) spend(cl *class, limits *program.Limits) bool {
	if cl.entries == nil {
		cl.lower(s)
	}
	s.classes = append(s.classes, *cl)
	s.spent.add(cl.spent)
	return s.spent.within(limits)
}

// newClass makes the class, not lowered, of whom some lists say something else than of strangers.
func (s *scope) newClass(unlike []int) *class {
	cl := &class{holds: make([]bool, len(s.lists))}
	for j, l := range s.found {
		cl.holds[j] = l.strangers != slices.Contains(unlike, j)
	}
	cl.key = s.classKey(cl.holds)
	return cl
}

// lower fills in what s says of a class.
func (cl *class) lower(s *scope) {
	cl.entries = s.entries(cl)
	cl.requests, cl.spent = requested(cl.entries), budgetOf(cl.entries)
}

// maxClassKey is the length from which a class key is cut short, with a hash of the whole.
const maxClassKey = 200

// classKey names a class by the lists of peers that hold for it.
func (s *scope) classKey(holds []bool) string {
	var texts []string
	for j, is := range holds {
		if is {
			texts = append(texts, s.texts[j])
		}
	}
	text := strings.Join(texts, " & ")
	switch {
	case text == "":
		return "none"
	case len(text) > maxClassKey:
		return strings.ToValidUTF8(text[:maxClassKey], "") + "... " + digest(text)
	}
	return text
}
