// SPDX-License-Identifier: Apache-2.0

package check

// peerIndex finds rules by a peer that they share with another rule. Of rules with the same peers and,
// where that matters, ports, it has the first. The zero value is empty.
type peerIndex struct {
	known     map[peerKey]bool
	first     int // the place of the first rule
	workloads labelIndex[*placed]
	hosts     []*placed // that cover the host, and so on, in file order
	addresses pathIndex
	public    []*placed // whose addresses meet the public space
	private   pathIndex // prefixes that names may open
	openers   []*placed // with names, which may open the public space
	names     pathIndex
	prefixes  []*placed // with a prefix, which may hold the address of a workload
	owners    []*placed // with what may own an address in a prefix
}

type peerKey struct {
	facts *peerFacts
	ports string
}

// add adds a rule, which stands behind all that are there; ports tells rules of different ports apart.
func (x *peerIndex) add(r *placed, ports string) {
	key := peerKey{r.facts, ports}
	if x.known[key] {
		return
	}
	if x.known == nil {
		x.known, x.first = map[peerKey]bool{}, r.place
	}
	x.known[key] = true
	f := r.facts
	put := func(list *[]*placed, when bool) {
		if when {
			*list = append(*list, r)
		}
	}
	if f.workloads != nil {
		x.workloads.add(f.workloads, r)
	}
	put(&x.hosts, f.host)
	for _, p := range f.addresses {
		x.addresses.add(prefixPath(p), r)
	}
	put(&x.public, f.public)
	put(&x.openers, len(f.names) > 0)
	for _, p := range f.private {
		x.private.add(prefixPath(p), r)
	}
	for _, n := range f.names {
		x.names.add(n.path, r)
	}
	put(&x.prefixes, f.prefix)
	put(&x.owners, f.owner)
}

// find tries the rules that may share a peer with r, and with byAddress those of which a prefix may hold
// the address of a workload or node.
func (x *peerIndex) find(r *placed, byAddress bool, s *search) {
	f := r.facts
	if f.host {
		s.try(x.hosts)
	}
	if byAddress && f.prefix {
		s.try(x.owners)
	}
	if byAddress && f.owner {
		s.try(x.prefixes)
	}
	if f.public {
		s.try(x.openers)
	}
	if len(f.names) > 0 {
		s.try(x.public)
	}
	if f.workloads != nil {
		x.workloads.each(f.workloads, s.try)
	}
	for _, p := range f.addresses {
		if s.past(x.first) {
			return
		}
		path := prefixPath(p)
		x.addresses.find(path, true, s)
		x.private.find(path, true, s)
	}
	for _, p := range f.private {
		x.addresses.find(prefixPath(p), true, s)
	}
	x.findNames(r, s)
}

// findNames tries the rules that may share a name with r.
func (x *peerIndex) findNames(r *placed, s *search) {
	for _, n := range r.facts.names {
		if s.past(x.first) {
			return
		}
		x.names.find(n.path, n.wild, s)
	}
}
