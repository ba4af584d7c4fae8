// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"mpol/compiler/program"
)

// search is the tiers that can be asked about a subject in one direction, in ascending order.
type search struct {
	steps []step
	// governed: some tier asked has a default of its own; ungranted is then the end of the direction.
	governed  bool
	ungranted program.RuleID // as reported at the first policy that governs
	// proxied: questions of the subject are judged.
	proxied bool
	// about are the steps with those rules alone that have a say at a port, as far as it was asked
	// for: element i is for the ports before cut i and from the cut before it on.
	about [][]step
	cuts  []uint32 // of portKey, ascending
}

type step struct {
	defaults  program.Action
	byDefault program.RuleID // as reported at the first policy of the tier, in file order
	rules     []say          // in file order
}

// say is a rule as it stands to the flows of a port. Covers says that it is about the port, and is not
// asked only for what it says of names. Labels are numbers: the peers are just the workloads with one
// of these; nil when they are anything else.
type say struct {
	*program.Rule
	covers bool
	labels []uint32
}

// portKey orders ports by their protocol.
func portKey(proto uint8, port uint16) uint32 { return uint32(proto)<<16 | uint32(port) }

// at returns the steps with the rules that have a say at a protocol and port.
func (s *search) at(proto uint8, port uint16) []step {
	if len(s.steps) == 0 {
		return nil
	}
	key := portKey(proto, port)
	i := sort.Search(len(s.cuts), func(i int) bool { return s.cuts[i] > key })
	if s.about[i] == nil {
		s.about[i] = s.cut(proto, port)
	}
	return s.about[i]
}

// cut leaves the steps only those rules that have a say at a port.
func (s *search) cut(proto uint8, port uint16) []step {
	steps := slices.Clone(s.steps)
	for i := range steps {
		var rules []say
		for _, r := range steps[i].rules {
			r.covers = covers(r.L4, proto, port)
			if r.covers || hasDomain(r.Peers) && asked(r.Resolvers, proto, port) {
				rules = append(rules, r)
			}
		}
		steps[i].rules = rules
	}
	return steps
}

// asked reports whether a question to one of some resolvers may go to a port.
func asked(resolvers []program.Resolver, proto uint8, port uint16) bool {
	return slices.ContainsFunc(resolvers, func(s program.Resolver) bool { return covers(askedAt(s), proto, port) })
}

// askedAt returns the ports of a resolver.
func askedAt(s program.Resolver) []program.L4 {
	if s.Node {
		return []program.L4{
			{Proto: program.ProtoUDP, First: portDNS, Last: portDNS}, {Proto: program.ProtoTCP, First: portDNS, Last: portDNS},
		}
	}
	return s.L4
}

// setCuts finds the ports at which what rules say may change.
func (s *search) setCuts() {
	for _, st := range s.steps {
		for _, r := range st.rules {
			ports := slices.Clone(r.L4)
			for _, resolver := range r.Resolvers {
				ports = append(ports, askedAt(resolver)...)
			}
			for _, l := range ports {
				if !l.Any {
					s.cuts = append(s.cuts, portKey(l.Proto, l.First), portKey(l.Proto, l.Last)+1)
				}
			}
		}
	}
	slices.Sort(s.cuts)
	s.cuts = slices.Compact(s.cuts)
	s.about = make([][]step, len(s.cuts)+1)
}

func covers(l4s []program.L4, proto uint8, port uint16) bool {
	for _, l := range l4s {
		if l.Contains(proto, port) {
			return true
		}
	}
	return false
}

// searchOf finds the search for a subject.
func (e *Evaluator) searchOf(d program.Direction, r *resident) *search {
	if r.searches[d] != nil {
		return r.searches[d]
	}
	key := d.String() + " host"
	if r.workload != nil {
		key = d.String() + " " + labelsKey(r.workload.Labels)
	}
	if e.searches[key] == nil {
		e.searches[key] = e.newSearch(d, r.workload)
	}
	r.searches[d] = e.searches[key]
	return r.searches[d]
}

func labelsKey(labels []program.Label) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(strconv.Quote(l.Key) + strconv.Quote(l.Value))
	}
	return b.String()
}

func (e *Evaluator) newSearch(d program.Direction, w *program.Workload) *search {
	blocks := e.blocksOf(d, w)
	s := &search{}
	var end *program.Block
	for t, tier := range e.rules.Tiers {
		if len(blocks[t]) == 0 {
			continue
		}
		first := slices.MinFunc(blocks[t], func(a, b *program.Block) int { return cmp.Compare(a.Default, b.Default) })
		st := step{defaults: tier.Default, byDefault: first.Default, rules: e.says(blocks[t])}
		s.steps = append(s.steps, st)
		if st.defaults != program.Pass && (end == nil || first.Default < end.Default) {
			end, s.governed, s.ungranted = first, true, first.Ungranted
		}
		if st.defaults != program.Pass && !slices.ContainsFunc(st.rules, passes) {
			break // no later tier is ever asked
		}
	}
	s.setCuts()
	s.proxied = d == program.Egress && slices.ContainsFunc(s.steps, func(st step) bool {
		return slices.ContainsFunc(st.rules, func(r say) bool {
			return hasDomain(r.Peers) || r.L7 != nil && r.L7.Kind == program.L7DNS
		})
	})
	return s
}

// blocksOf returns, tier by tier, the blocks of the policies that select a subject.
func (e *Evaluator) blocksOf(d program.Direction, w *program.Workload) [][]*program.Block {
	blocks := make([][]*program.Block, len(e.rules.Tiers))
	for _, p := range e.Policies(w) {
		if b := e.block(p, d); b != nil {
			blocks[p.Tier] = append(blocks[p.Tier], b)
		}
	}
	return blocks
}

// Policies returns those that select a workload or, for nil, the host, in file order; of their rules
// alone what is said of its flows can hang, beside those of the other end.
func (e *Evaluator) Policies(w *program.Workload) []*program.Policy {
	candidates := slices.Clone(e.byElse)
	for _, l := range labelsOf(w) {
		candidates = append(candidates, e.byLabel[l]...)
	}
	slices.Sort(candidates)
	var out []*program.Policy
	for _, i := range slices.Compact(candidates) {
		if p := e.rules.Policies[i]; governs(p.Subject, w) {
			out = append(out, p)
		}
	}
	return out
}

// says returns the rules of blocks that count, in file order.
func (e *Evaluator) says(blocks []*program.Block) []say {
	var out []say
	for _, b := range blocks {
		for i := range b.Rules {
			if r := &b.Rules[i]; !r.Audit || !e.marked {
				out = append(out, say{Rule: r, labels: e.numbered(just(r.Peers))})
			}
		}
	}
	slices.SortFunc(out, func(a, b say) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func labelsOf(w *program.Workload) []program.Label {
	if w == nil {
		return nil // the host has none
	}
	return w.Labels
}

func passes(r say) bool { return r.Action == program.Pass }

// wanted returns labels of which whoever meets s has one; none when that cannot be said.
func wanted(s *program.Selector) []program.Label {
	if s == nil {
		return nil
	}
	switch s.Op {
	case program.OpIn:
		out := make([]program.Label, len(s.Values))
		for i, v := range s.Values {
			out[i] = program.Label{Key: s.Key, Value: v}
		}
		return out
	case program.OpAnd:
		for _, a := range s.Args {
			if out := wanted(a); len(out) > 0 {
				return out
			}
		}
	}
	return nil
}

// just returns the labels of which one makes a workload a peer, when peers are nothing else.
func just(ps program.Peers) []program.Label {
	if len(ps.Except) > 0 {
		return nil
	}
	var out []program.Label
	for _, t := range ps.Include {
		if t.Kind != program.PeerSelector || t.Selector.Op != program.OpIn {
			return nil
		}
		out = append(out, wanted(t.Selector)...)
	}
	return out
}

// number gives each label that the rules of a block ask for alone a number.
func (e *Evaluator) number(b *program.Block) {
	if b == nil {
		return
	}
	for i := range b.Rules {
		for _, l := range just(b.Rules[i].Peers) {
			if _, known := e.numbers[l]; !known {
				e.numbers[l] = uint32(len(e.numbers))
			}
		}
	}
}

// numbered returns the numbers of those labels that have one.
func (e *Evaluator) numbered(labels []program.Label) []uint32 {
	var out []uint32
	for _, l := range labels {
		if n, known := e.numbers[l]; known {
			out = append(out, n)
		}
	}
	return out
}
