// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// View is what one generation says about names. It is immutable.
type View struct {
	// Generation numbers the view for events.
	Generation uint64
	workloads  map[string]*namesView
	receivers  map[string]bool // workloads, or host, with an ingress table
	space      *space
	special    []netip.Prefix
}

// namesView is the egress table of a workload as far as it speaks of names.
type namesView struct {
	table     *program.Table
	names     *program.Names
	questions index // of table.Questions
	peers     index // of names.Peers
	// classes are the class keys of names.Sets, by setKey of their peers.
	classes map[string]string
}

// ViewOf makes the view of lowered tables. A workload whose egress table has no name rules is a
// stranger to it: all its questions are denied.
func ViewOf(generation uint64, t *program.Tables) *View {
	v := &View{
		Generation: generation,
		workloads:  make(map[string]*namesView),
		receivers:  make(map[string]bool),
		space:      newSpace(t),
		special:    program.SpecialPurpose(),
	}
	v.receivers[host] = t.Host != nil && t.Host.Ingress >= 0
	byTable := make(map[int]*namesView)
	for _, b := range t.Subjects {
		v.receivers[b.Workload] = b.Ingress >= 0
		if b.Egress < 0 || t.Tables[b.Egress].Names == nil {
			continue
		}
		if byTable[b.Egress] == nil {
			byTable[b.Egress] = newNamesView(&t.Tables[b.Egress])
		}
		v.workloads[b.Workload] = byTable[b.Egress]
	}
	return v
}

func newNamesView(t *program.Table) *namesView {
	n := &namesView{table: t, names: t.Names, classes: make(map[string]string)}
	for _, s := range t.Names.Sets {
		n.classes[setKey(s.Peers)] = t.Classes[s.Class].Key
	}
	for i, q := range t.Questions {
		if q.Any {
			n.questions.addRest(i)
		} else {
			n.questions.add(i, q.Domain)
		}
	}
	for i, peer := range t.Names.Peers {
		n.peers.add(i, peer.Domain)
	}
	return n
}

// setKey is a text for a sorted list of peers.
func setKey(peers []int) string {
	var b []byte
	for _, p := range peers {
		b = binary.AppendUvarint(b, uint64(p))
	}
	return string(b)
}

// opens reports whether answers to questions of type t open addresses.
func opens(t uint16) bool {
	return t == typeA || t == typeAAAA || t == typeHTTPS || t == typeSVCB
}

// forbidden reports whether no name may open a: it is not of the internet, or belongs to the node
// or a workload.
func (v *View) forbidden(a netip.Addr) bool {
	who := v.space.find(a)
	return a.Is4In6() || who == nil || who.Owned || slices.ContainsFunc(v.special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// decision is what views say of a question.
type decision struct {
	generation uint64
	allow      bool
	rule       string
	log        bool
	sets       []NameSetKey // what its answer opens
}

// way is how a question travels: to which server, who is a host workload if it is named, over udp or
// tcp.
type way struct {
	server   netip.AddrPort
	receiver string
	proto    uint8
}

// judge asks one view.
func (v *View) judge(workload string, to way, name program.Name, typ uint16) decision {
	w := v.workloads[workload]
	server, receiver, known := v.space.server(to)
	if w == nil || !known {
		return decision{generation: v.Generation}
	}
	class := w.table.Class(server)
	d := w.verdict(class, to, name, typ)
	d.generation = v.Generation
	if d.allow && typ == typeANY && v.receivers[receiver] {
		return decision{generation: v.Generation}
	}
	if !d.allow || !opens(typ) {
		return d
	}
	if key, ok := w.set(class, name); ok {
		d.sets = []NameSetKey{key}
	}
	return d
}

// verdict is that of the matching question rule with the lowest rank, then order, for a server of a
// class.
func (w *namesView) verdict(class int, to way, name program.Name, typ uint16) decision {
	var best *program.Verdict
	w.questions.each(name, func(i int) {
		q := &w.table.Questions[i]
		if (best == nil || before(q.Verdict, *best)) && asks(q, class, to, name, typ) {
			best = &q.Verdict
		}
	})
	if best != nil {
		return decision{allow: best.Allow, rule: best.Rule, log: best.Log}
	}
	if n := len(w.table.Questions); n > 0 {
		last := w.table.Questions[n-1].Verdict
		return decision{rule: last.Rule, log: last.Log}
	}
	return decision{}
}

func before(a, b program.Verdict) bool {
	return a.Rank < b.Rank || a.Rank == b.Rank && a.Order < b.Order
}

// asks reports whether q speaks of a question. ANY is asked for by its own number only: a rule for
// every type allows it no more than one for A does, but denies it.
func asks(q *program.Question, class int, to way, name program.Name, typ uint16) bool {
	at := func(l program.L4) bool { return l.Contains(to.proto, to.server.Port()) }
	if len(q.L4) > 0 && !slices.ContainsFunc(q.L4, at) || !serves(&q.NameServer, class, name) {
		return false
	}
	every := len(q.Types) == 0 && (typ != typeANY || !q.Verdict.Allow)
	if !every && !slices.Contains(q.Types, typ) {
		return false
	}
	return q.Any || q.Domain.Matches(name)
}

// serves reports whether a server of a class is one of s about a name.
func serves(s *program.NameServer, class int, name program.Name) bool {
	_, is := slices.BinarySearch(s.Classes, class)
	return (is || len(s.Classes) == 0) &&
		(len(s.For) == 0 || slices.ContainsFunc(s.For, func(p program.NamePattern) bool { return p.Matches(name) }))
}

// set finds the name set of the peers that the name matches and about which a server of a class is
// believed.
func (w *namesView) set(class int, name program.Name) (NameSetKey, bool) {
	var peers []int
	w.peers.each(name, func(i int) {
		p := &w.names.Peers[i]
		believed := slices.ContainsFunc(p.Servers, func(s program.NameServer) bool { return serves(&s, class, name) })
		if believed && p.Domain.Matches(name) {
			peers = append(peers, i)
		}
	})
	if len(peers) == 0 {
		return NameSetKey{}, false
	}
	slices.Sort(peers)
	key, ok := w.classes[setKey(slices.Compact(peers))]
	return NameSetKey{Table: w.table.Key, Class: key}, ok
}

// views are those in force: one, or the old and the new one during a switch.
type views []*View

// judge allows what all views allow. The rule is the first denier's, else the newest view's.
func (vs views) judge(workload string, to way, name program.Name, typ uint16) decision {
	var all decision
	for _, v := range vs {
		d := v.judge(workload, to, name, typ)
		if !d.allow {
			return d
		}
		d.sets = append(all.sets, d.sets...)
		all = d
	}
	slices.SortFunc(all.sets, compareKeys)
	all.sets = slices.Compact(all.sets)
	return all
}

func compareKeys(a, b NameSetKey) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Class, b.Class))
}

func (vs views) forbidden(a netip.Addr) bool {
	return slices.ContainsFunc(vs, func(v *View) bool { return v.forbidden(a) })
}
