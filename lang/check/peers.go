// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// builtins are the words for peers.
func builtin(word string) (program.PeerKind, bool) {
	kind, ok := map[string]program.PeerKind{
		"any": program.PeerAny, "workloads": program.PeerWorkloads, "host": program.PeerHost,
		"world": program.PeerWorld, "internet": program.PeerInternet,
	}[word]
	return kind, ok
}

// peerList is a resolved list: terms are its peers as written, those behind except last, each what
// the terms before except stand for.
type peerList struct {
	program.Peers
	terms    []Term
	patterns []Pattern
	each     [][]program.Peer
}

// peers resolves a peer list. It is not ok when a mistake was reported.
func (c *checker) peers(n *lang.Peers, annotations []*lang.Annotation) (*peerList, bool) {
	out := &peerList{terms: []Term{}, patterns: []Pattern{}}
	ok := true
	for i, p := range n.Include {
		ps, good := c.peer(p, annotations)
		good = c.extras(p, ps) && good
		if i > 0 {
			good = c.afterPrivate(n.Include[i-1], p, ps) && good
		}
		ok = ok && good
		out.Include, out.each = append(out.Include, ps...), append(out.each, ps)
		c.note(out, p, ps, false)
	}
	kinds := kindsOf(out.Include)
	for _, p := range n.Except {
		ps, good := c.peer(p, annotations)
		if len(p.Private)+len(p.Aliases) > 0 {
			c.errorAt(diag.PrivatePeer, p.Span(), "what is taken away opens nothing", "remove private and via cname")
			good = false
		}
		ok = ok && good
		out.Except = append(out.Except, ps...)
		ok = c.takes(kinds, ps, p) && ok
		c.note(out, p, ps, true)
	}
	if !ok {
		return out, false
	}
	if reason := c.emptyPeers(out.Peers); reason != "" {
		c.errorAt(diag.Empty, n.Span(), reason, "take away less, or remove the rule")
		return out, false
	}
	return out, true
}

// note adds a peer as written, with its patterns.
func (c *checker) note(out *peerList, n *lang.Peer, ps []program.Peer, except bool) {
	t := Term{Text: n.Text(), Except: except, Span: n.Span()}
	t.WholeIPv4, t.WholeIPv6 = c.whole(program.Peers{Include: ps})
	if n.Selector != nil && len(ps) == 1 {
		t.selector = ps[0].Selector
	}
	if n.Item != nil && lang.IsName(*n.Item) {
		r, home := refOf(*n.Item, n.Member), c.at.pkg
		if r.pkg != "" {
			home = c.byName[r.pkg]
		}
		if home != nil {
			if s := c.lookUp(home, sets, r.name); s != nil {
				t.Name, t.Kind = s.full(), s.kind
			}
		}
	}
	out.terms = append(out.terms, t)
	use := "peer"
	if except {
		use = "except"
	}
	for _, p := range ps {
		if p.Domain == nil {
			continue
		}
		for _, q := range p.Domain.Patterns {
			out.patterns = append(out.patterns, c.patternUse(q, use, t.Span))
		}
		for _, q := range p.Domain.Aliases {
			out.patterns = append(out.patterns, c.patternUse(q, "alias", t.Span))
		}
	}
}

// peer resolves one term; a name of cidrs or domains gives several.
func (c *checker) peer(n *lang.Peer, annotations []*lang.Annotation) ([]program.Peer, bool) {
	switch {
	case n.Selector != nil:
		sel, _ := c.selector(n.Selector)
		return []program.Peer{{Kind: program.PeerSelector, Selector: sel}}, sel != nil
	case n.Same != nil:
		return []program.Peer{{Kind: program.PeerSame, Key: lang.Text(*n.Same)}}, c.labelKey(*n.Same)
	}
	t := *n.Item
	if kind, ok := builtin(t.Value); ok {
		return []program.Peer{{Kind: kind}}, true
	}
	var ps []program.Peer
	ok := true
	switch {
	case lang.IsAddress(t):
		p, err := lang.ParsePrefix(t.Value)
		return []program.Peer{{Kind: program.PeerPrefix, Prefix: p}}, err == nil
	case lang.IsString(t):
		var p program.NamePattern
		p, ok = c.pattern(t, annotations)
		c.quotedName(t)
		ps = []program.Peer{{Kind: program.PeerDomain, Domain: &program.Domain{Patterns: []program.NamePattern{p}}}}
	default:
		ps, ok = c.namedPeer(refOf(t, n.Member))
	}
	private, good := c.prefixList(n.Private)
	var aliases []program.NamePattern
	for _, t := range n.Aliases {
		p, fine := c.pattern(t, annotations)
		good = good && fine
		aliases = append(aliases, p)
	}
	for i := range ps {
		if ps[i].Domain != nil {
			ps[i].Domain.Private, ps[i].Domain.Aliases = union(private), sortedPatterns(aliases)
		}
	}
	return ps, ok && good
}

// extras checks that private and via cname stand behind a domain.
func (c *checker) extras(n *lang.Peer, ps []program.Peer) bool {
	if len(n.Private)+len(n.Aliases) == 0 || len(ps) == 0 || ps[0].Kind == program.PeerDomain {
		return true
	}
	what := "via cname"
	if len(n.Private) > 0 {
		what = "private"
	}
	c.errorAt(diag.PrivatePeer, n.Span(), fmt.Sprintf("`%s` stands behind what is no domain", what), "it belongs to a domain peer: \"x.corp.example\" private 10.0.0.0/8")
	return false
}

// afterPrivate refuses an address right behind a private one: it could be meant as either.
func (c *checker) afterPrivate(before, n *lang.Peer, ps []program.Peer) bool {
	if len(before.Private) == 0 || len(ps) == 0 || ps[0].Kind != program.PeerPrefix {
		return true
	}
	c.errorAt(diag.PrivateList, n.Span(), fmt.Sprintf("%s could be a peer or one more private prefix", n.Text()),
		fmt.Sprintf("write private %s, or name the peer before the domain", n.Text()))
	return false
}

func (c *checker) namedPeer(r ref) ([]program.Peer, bool) {
	sym := c.use(sets, r, "workload", "cidrs", "domains")
	if sym == nil {
		return nil, false
	}
	var out []program.Peer
	switch sym.kind {
	case "workload":
		out = append(out, program.Peer{Kind: program.PeerSelector, Selector: sym.selector})
	case "cidrs":
		for _, p := range sym.prefixes {
			out = append(out, program.Peer{Kind: program.PeerPrefix, Prefix: p})
		}
	case "domains":
		for _, d := range sym.domains {
			out = append(out, program.Peer{Kind: program.PeerDomain, Domain: &d})
		}
	}
	return out, true
}

// takes reports whether each of except may be taken from peers of each of some kinds.
func (c *checker) takes(from []program.PeerKind, except []program.Peer, n *lang.Peer) bool {
	for _, what := range kindsOf(except) {
		for _, kind := range from {
			if !takeable(kind, what) {
				c.errorAt(diag.ExceptKind, n.Span(), fmt.Sprintf("%s cannot be taken from %s", noun(what), noun(kind)),
					"from any take all but domains, from workloads workloads, from world, internet and prefixes prefixes and internet, from domains domains")
				return false
			}
		}
	}
	return true
}

func kindsOf(ps []program.Peer) []program.PeerKind {
	var kinds []program.PeerKind
	for _, p := range ps {
		kinds = append(kinds, p.Kind)
	}
	return distinct(kinds)
}

func noun(k program.PeerKind) string {
	switch k {
	case program.PeerSelector, program.PeerSame:
		return "some workloads"
	case program.PeerPrefix:
		return "a prefix"
	case program.PeerDomain:
		return "a domain"
	}
	return "`" + k.String() + "`"
}

func takeable(from, what program.PeerKind) bool {
	switch from {
	case program.PeerAny:
		return what != program.PeerDomain
	case program.PeerWorkloads, program.PeerSelector, program.PeerSame:
		return what == program.PeerWorkloads || what == program.PeerSelector || what == program.PeerSame
	case program.PeerWorld, program.PeerInternet, program.PeerPrefix:
		return what == program.PeerPrefix || what == program.PeerInternet
	case program.PeerDomain:
		return what == program.PeerDomain
	}
	return false
}

// emptyPeers says why a list holds nobody, as far as that does not depend on an inventory.
func (c *checker) emptyPeers(p program.Peers) string {
	if len(p.Except) == 0 {
		return ""
	}
	host := has(p, program.PeerAny, program.PeerHost) && !has(program.Peers{Include: p.Except}, program.PeerAny, program.PeerHost)
	workloads := workloadsOf(p)
	switch {
	case host, workloads != nil && met(workloads), len(c.addresses(p)) > 0:
		return ""
	case namesLeft(p):
		return ""
	}
	return "the except takes everything away"
}

// namesLeft reports whether peers have a name, as far as patterns say.
func namesLeft(p program.Peers) bool {
	texts := map[string]bool{}
	var whole []program.Domain
	for _, e := range p.Except {
		if e.Kind != program.PeerDomain {
			continue
		}
		texts[matches(e.Domain)] = true
		if len(e.Domain.Except)+len(e.Domain.Less) == 0 {
			whole = append(whole, *e.Domain)
		}
	}
	except := nameSetOf(whole)
	return slices.ContainsFunc(p.Include, func(i program.Peer) bool {
		return i.Kind == program.PeerDomain && !texts[matches(i.Domain)] && len(except.uncovered(i.Domain.Patterns)) > 0
	})
}

// matches is one text for domains that match the same names as they are written.
func matches(d *program.Domain) string {
	return (&program.Domain{Patterns: d.Patterns, Except: d.Except, Less: d.Less}).String()
}

// selectorOf joins peers that are workloads; all workloads hold for any labels.
func selectorOf(ps []program.Peer) *program.Selector {
	or := &program.Selector{Op: program.OpOr}
	for _, p := range ps {
		s := p.Selector
		switch p.Kind {
		case program.PeerWorkloads:
			s = &program.Selector{Op: program.OpAnd}
		case program.PeerSame:
			s = sameSelector(p.Key)
		}
		or.Args = append(or.Args, s)
	}
	return or
}

// sameSelector stands for the workloads with the subject's value of a label: they have the label, and
// a further one, which no file can name, says whether its value is the subject's.
func sameSelector(key string) *program.Selector {
	same := &program.Selector{Op: program.OpHas, Key: "\x00same\x00" + key}
	return &program.Selector{Op: program.OpAnd, Args: []*program.Selector{{Op: program.OpHas, Key: key}, same}}
}

func nodes(s *program.Selector) int {
	n := 1
	for _, a := range s.Args {
		n += nodes(a)
	}
	return n
}

// addresses returns what peers cover by address of what no workload and no node owns. Workloads
// cover none of it and domains are no addresses.
func (c *checker) addresses(p program.Peers) prefixes {
	return c.cover(p.Include).minus(c.cover(p.Except))
}

func (c *checker) cover(ps []program.Peer) prefixes {
	var out []netip.Prefix
	for _, p := range ps {
		switch p.Kind {
		case program.PeerAny, program.PeerWorld:
			out = append(out, everything()...)
		case program.PeerInternet:
			out = append(out, c.public...)
		case program.PeerPrefix:
			out = append(out, p.Prefix)
		}
	}
	return union(out)
}

// public is what internet covers of world.
func public() prefixes { return everything().minus(union(program.SpecialPurpose())) }

// whole reports whether peers cover a family's whole public space.
func (c *checker) whole(p program.Peers) (v4, v6 bool) {
	v4, v6 = wide(p.Include)
	if !v4 && !v6 || len(p.Except) == 0 && !onlyPrefixes(p.Include) {
		return v4, v6
	}
	left := c.public.minus(c.addresses(p))
	is4 := func(q netip.Prefix) bool { return q.Addr().Is4() }
	is6 := func(q netip.Prefix) bool { return q.Addr().Is6() }
	return !slices.ContainsFunc(left, is4), !slices.ContainsFunc(left, is6)
}

func onlyPrefixes(ps []program.Peer) bool {
	return !slices.ContainsFunc(ps, func(p program.Peer) bool {
		return p.Kind == program.PeerAny || p.Kind == program.PeerWorld || p.Kind == program.PeerInternet
	})
}

// wide reports whether peers may cover a family's whole public space, which is more than half of the
// family: it only counts addresses.
func wide(ps []program.Peer) (v4, v6 bool) {
	var share4, share6 float64
	for _, p := range ps {
		switch {
		case p.Kind == program.PeerAny, p.Kind == program.PeerWorld, p.Kind == program.PeerInternet:
			return true, true
		case p.Kind != program.PeerPrefix:
		case p.Prefix.Addr().Is4():
			share4 += math.Pow(2, -float64(p.Prefix.Bits()))
		default:
			share6 += math.Pow(2, -float64(p.Prefix.Bits()))
		}
	}
	return share4 > 0.5, share6 > 0.5
}
