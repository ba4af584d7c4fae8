// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// governing finds the policies that select workloads, and what they say together. A policy whose
// selector asks for one value of a label is only looked at for workloads with that label.
type governing struct {
	byLabel map[program.Label][]*policy
	rest    []*policy
	host    int               // how many are for the host and decide something
	scopes  map[string]*scope // by direction, policies and what "same" asks
	encoder program.Encoder
	// fallback and resolvers are those of the program for which the scopes were made.
	fallback  program.Action
	resolvers []netip.Addr
}

func newGoverning() *governing {
	return &governing{byLabel: make(map[program.Label][]*policy), scopes: make(map[string]*scope)}
}

// update takes in the policies that came and leaves out those that went. A kin for which that changes
// something is not known any more.
func (g *governing) update(rules *program.Rules, came, went []*policy, kins iter.Seq[*kin]) {
	for _, p := range went {
		g.host -= bit(p.judgesHost())
		g.file(p, func(ps []*policy) []*policy {
			return slices.DeleteFunc(ps, func(q *policy) bool { return p == q })
		})
	}
	for _, p := range came {
		g.host += bit(p.judgesHost())
		g.file(p, func(ps []*policy) []*policy { return append(ps, p) })
	}
	same := g.fallback == rules.Default && slices.Equal(g.resolvers, rules.Inventory.Resolvers)
	if !same {
		g.fallback, g.resolvers = rules.Default, rules.Inventory.Resolvers
		clear(g.scopes)
	}
	changed := newGoverning()
	for _, p := range slices.Concat(came, went) {
		changed.file(p, func(ps []*policy) []*policy { return append(ps, p) })
	}
	for k := range kins {
		k.known = k.known && same && !changed.govern(k)
	}
}

// judgesHost reports whether p is for the host, whose flows are judged therefore.
func (p *policy) judgesHost() bool {
	return p.Subject.Host && !p.Audit && (decides(p.content.Egress) || decides(p.content.Ingress))
}

// candidates yields lists of policies in which all are that select whoever has the given labels.
func (g *governing) candidates(labels []program.Label) iter.Seq[[]*policy] {
	return func(yield func([]*policy) bool) {
		if !yield(g.rest) {
			return
		}
		for _, l := range labels {
			if !yield(g.byLabel[l]) {
				return
			}
		}
	}
}

// govern reports whether some policy selects a kin.
func (g *governing) govern(k *kin) bool {
	for ps := range g.candidates(k.labels) {
		if slices.ContainsFunc(ps, func(p *policy) bool { return p.selects(k) }) {
			return true
		}
	}
	return false
}

// file changes the lists in which p is to be found.
func (g *governing) file(p *policy, change func([]*policy) []*policy) {
	asked := asksLabel(p.Subject.Selector)
	for _, l := range asked {
		g.byLabel[l] = change(g.byLabel[l])
		if len(g.byLabel[l]) == 0 {
			delete(g.byLabel, l)
		}
	}
	if asked == nil {
		g.rest = change(g.rest)
	}
}

// asksLabel returns labels of which s asks for at least one, nil where it may do without.
func asksLabel(s *program.Selector) []program.Label {
	switch {
	case s == nil:
	case s.Op == program.OpIn:
		var ls []program.Label
		for _, v := range s.Values {
			ls = append(ls, program.Label{Key: s.Key, Value: v})
		}
		return ls
	case s.Op == program.OpAnd:
		for _, a := range s.Args {
			if ls := asksLabel(a); ls != nil {
				return ls
			}
		}
	}
	return nil
}

// of returns the policies that have a block for verdicts in a direction and select a kin, in file
// order.
func (g *governing) of(k *kin, d program.Direction) []*policy {
	var candidates []*policy
	for ps := range g.candidates(k.labels) {
		candidates = append(candidates, ps...)
	}
	candidates = slices.DeleteFunc(candidates, func(p *policy) bool {
		return !decides(p.content.Block(d)) || !p.selects(k)
	})
	slices.SortFunc(candidates, func(a, b *policy) int { return cmp.Compare(a.index, b.index) })
	return slices.Compact(candidates)
}

// scope finds what the policies say of a kin, nil where it is ungoverned.
func (g *governing) scope(rules *program.Rules, kin *kin, d program.Direction) *scope {
	ps, labels := reachable(rules.Tiers, d, g.of(kin, d)), kin.labels
	if len(ps) == 0 {
		return nil
	}
	key := []byte(d.String() + labelsText(sameLabels(d, ps, labels)))
	for _, p := range ps {
		key = binary.AppendUvarint(key, p.serial)
	}
	s := g.scopes[string(key)]
	if s == nil {
		s = newScope(rules, d, ps, labels, &g.encoder)
		g.scopes[string(key)] = s
	}
	return s
}

// decides reports whether a block exists for verdicts: not if it has audit rules only.
func decides(b *program.Block) bool {
	return b != nil && (len(b.Rules) == 0 || slices.ContainsFunc(b.Rules, func(r program.Rule) bool { return !r.Audit }))
}

// reachable returns those of some policies that can be asked: nothing behind the first tier that has
// a default of its own and in which no rule passes ever is.
func reachable(tiers []program.Tier, d program.Direction, policies []*policy) []*policy {
	passes := make(map[int]bool)
	for _, p := range policies {
		passes[p.Tier] = passes[p.Tier] || slices.ContainsFunc(p.content.Block(d).Rules, func(r program.Rule) bool {
			return r.Action == program.Pass && !r.Audit
		})
	}
	last := len(tiers)
	for t := range passes {
		if tiers[t].Default != program.Pass && !passes[t] {
			last = min(last, t)
		}
	}
	return slices.DeleteFunc(policies, func(p *policy) bool { return p.Tier > last })
}

func hasSame(ps program.Peers) bool {
	is := func(p program.Peer) bool { return p.Kind == program.PeerSame }
	return slices.ContainsFunc(ps.Include, is) || slices.ContainsFunc(ps.Except, is)
}

// sameAs writes "same" out for a subject with the given labels: the workloads with its value, or
// nobody.
func sameAs(peers []program.Peer, labels []program.Label) []program.Peer {
	var out []program.Peer
	for _, p := range peers {
		if p.Kind != program.PeerSame {
			out = append(out, p)
			continue
		}
		for _, l := range labels {
			if l.Key == p.Key {
				out = append(out, program.Peer{Kind: program.PeerSelector, Selector: &program.Selector{
					Op: program.OpIn, Key: l.Key, Values: []string{l.Value},
				}})
			}
		}
	}
	return out
}

// sameLabels returns those of some labels for which a "same" of the policies asks.
func sameLabels(d program.Direction, policies []*policy, labels []program.Label) []program.Label {
	var out []program.Label
	for _, l := range labels {
		asks := func(p program.Peer) bool { return p.Kind == program.PeerSame && p.Key == l.Key }
		if slices.ContainsFunc(policies, func(p *policy) bool {
			return slices.ContainsFunc(p.content.Block(d).Rules, func(r program.Rule) bool {
				return !r.Audit && (slices.ContainsFunc(r.Peers.Include, asks) || slices.ContainsFunc(r.Peers.Except, asks))
			})
		}) {
			out = append(out, l)
		}
	}
	return out
}
