// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// use is a selector with the policies in which it stands, in file order.
type use struct {
	selector *program.Selector
	text     string
	span     diag.Span
	where    string
	subjects []*program.Policy // that it is the subject of
	peers    []*program.Policy // that name it in a rule
}

// atoms adds each comparison of each selector. Uses of one selector count as one: a workload's name
// stands for the same comparison everywhere.
func (c *coverer) atoms() {
	uses := c.uses()
	for _, text := range slices.Sorted(maps.Keys(uses)) {
		u := uses[text]
		for i, atom := range leaves(u.selector) {
			c.out.Atoms = append(c.out.Atoms, Covered{
				Name: fmt.Sprintf("%s in %s", atom, u.where), Span: u.span, Covered: c.matters(u, i),
			})
		}
	}
}

// uses returns the selectors of the policies by their text.
func (c *coverer) uses() map[string]*use {
	uses := map[string]*use{}
	at := func(s *program.Selector, span diag.Span, where string) *use {
		text := s.String()
		if uses[text] == nil {
			uses[text] = &use{selector: s, text: text, span: span, where: where}
		}
		return uses[text]
	}
	for i, p := range c.module.Policies {
		if p.Audit {
			continue
		}
		resolved := c.rules.Policies[i]
		if s := p.Subject.Selector; s != nil {
			u := at(s, p.NameSpan, p.SubjectText)
			u.subjects = append(u.subjects, resolved)
		}
		for _, b := range written(p) {
			for _, r := range b.Rules {
				for _, t := range slices.Concat(r.Peers.Include, r.Peers.Except) {
					if t.Selector == nil {
						continue
					}
					if u := at(t.Selector, r.PeersSpan, r.PeersText); !slices.Contains(u.peers, resolved) {
						u.peers = append(u.peers, resolved)
					}
				}
			}
		}
	}
	return uses
}

// written returns the blocks of a policy in the order of the file.
func written(p *check.Policy) []*check.Block {
	blocks := slices.DeleteFunc([]*check.Block{p.Egress, p.Ingress}, func(b *check.Block) bool { return b == nil })
	slices.SortFunc(blocks, func(a, b *check.Block) int { return cmp.Compare(a.Span.Start.Offset, b.Span.Start.Offset) })
	return blocks
}

// matters reports whether taking a comparison as true or as false changes what becomes of a line. The
// tests that are about the selector are run before those to which it would spread.
func (c *coverer) matters(u *use, atom int) bool {
	var patches [2]patch
	var spread [2][]int
	for i, as := range []bool{false, true} {
		s := replaceLeaf(u.selector, atom, constant(as))
		patches[i] = u.patch(s)
		var about []int
		about, spread[i] = c.scenes.affected(u, s, patches[i])
		if c.changes(patches[i], about) {
			return true
		}
	}
	return c.changes(patches[0], spread[0]) || c.changes(patches[1], spread[1])
}

// patch puts another selector into the place of the one that is used.
func (u *use) patch(s *program.Selector) patch {
	by := patch{}
	for _, p := range slices.Concat(u.subjects, u.peers) {
		if by[p] != nil {
			continue
		}
		out := *p
		if sub := p.Subject.Selector; sub != nil && sub.String() == u.text {
			out.Subject.Selector = s
		}
		out.Egress, out.Ingress = u.block(p.Egress, s), u.block(p.Ingress, s)
		by[p] = &out
	}
	return by
}

func (u *use) block(b *program.Block, s *program.Selector) *program.Block {
	if b == nil {
		return nil
	}
	terms := func(list []program.Peer) []program.Peer {
		list = slices.Clone(list)
		for i := range list {
			if list[i].Selector != nil && list[i].Selector.String() == u.text {
				list[i].Selector = s
			}
		}
		return list
	}
	out := *b
	out.Rules = slices.Clone(b.Rules)
	for i := range out.Rules {
		ps := &out.Rules[i].Peers
		ps.Include, ps.Except = terms(ps.Include), terms(ps.Except)
	}
	return &out
}

// affected returns the scenes to which it may make a difference that a selector has become another, as
// a patch has it: those about somebody who met it or whom a rule sees with other eyes, and those about
// somebody whom a policy comes to select.
func (all *scenes) affected(u *use, s *program.Selector, by patch) (about, spread []int) {
	differs, is, may := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for n := range all.labels {
		l := &all.labels[n]
		met, meets := Meets(u.selector, &l.workload), Meets(s, &l.workload)
		if met == meets {
			continue
		}
		for _, i := range l.scenes {
			differs[i] = true
			is[i] = is[i] || met && len(u.subjects) > 0
			may[i] = may[i] || meets && slices.ContainsFunc(u.subjects, func(p *program.Policy) bool { return all.concerns(&all.all[i], by[p], n) })
		}
	}
	for _, p := range u.peers {
		for _, i := range all.of[p] {
			is[i] = is[i] || differs[i]
		}
	}
	maps.DeleteFunc(is, func(_ int, some bool) bool { return !some })
	maps.DeleteFunc(may, func(i int, some bool) bool { return !some || is[i] })
	return slices.Sorted(maps.Keys(is)), slices.Sorted(maps.Keys(may))
}
