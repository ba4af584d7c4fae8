// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
)

// space is the address space as the rules and the inventory divide it. A cell is the set of
// addresses that have the same longest prefix among those that the rules mention.
type space struct {
	cells      []netip.Prefix // sorted
	keys       []string       // of the cells
	identities []identity     // sorted by key
	index      map[string]int // of identities, by key
	internet   []bool         // by identity: names may open its addresses
	members    map[string][]int
	addresses  []program.Address
	sockets    []program.Socket
}

// identity is a workload's labels, the host or the world, in a cell.
type identity struct {
	key    string
	owner  owner
	labels []program.Label
	cell   netip.Prefix
}

type owner uint8

const (
	world owner = iota
	host
	workload
)

// comparePrefixes sorts by address, then wider first.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func newSpace(rules *program.Rules) *space {
	s := &space{cells: mentioned(rules), index: make(map[string]int), members: make(map[string][]int), sockets: []program.Socket{}}
	for i := range s.cells {
		s.keys = append(s.keys, cellKey(s.cells, i))
	}
	owned := make(map[netip.Prefix]identity)
	var rows []program.Address
	add := func(p netip.Prefix, o owner, labels []program.Label, row program.Address) {
		row.Prefix, row.Cell = p, s.cell(p.Addr())
		owned[p] = s.identity(o, labels, row.Cell)
		rows = append(rows, row)
	}
	inv := &rules.Inventory
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		row := program.Address{Owned: true}
		if w.Interface != "" {
			row.Workload = w.Name
		}
		for _, a := range w.Addresses {
			add(single(a), workload, w.Labels, row)
		}
	}
	for _, a := range inv.Node {
		if !a.IsLoopback() {
			add(single(a), host, nil, program.Address{Owned: true, Node: true})
		}
	}
	for i, c := range s.cells {
		switch _, taken := owned[c]; {
		case taken:
		case c.Addr().IsLoopback():
			add(c, host, nil, program.Address{Owned: true, Node: true})
		default:
			rows = append(rows, program.Address{Prefix: c, Cell: i})
			owned[c] = s.identity(world, nil, i)
		}
	}
	slices.SortFunc(rows, func(a, b program.Address) int { return comparePrefixes(a.Prefix, b.Prefix) })
	sockets := s.hostWorkloads(inv, rows)
	s.sortIdentities(rows, owned, sockets)
	return s
}

// hostWorkloads gives each host workload an identity in every cell that holds a node address.
func (s *space) hostWorkloads(inv *program.Inventory, rows []program.Address) []identity {
	var cells []int
	for _, a := range rows {
		if a.Node {
			cells = append(cells, a.Cell)
		}
	}
	slices.Sort(cells)
	cells = slices.Compact(cells)
	var ids []identity
	for _, w := range inv.Workloads {
		if w.Cgroup == "" {
			continue
		}
		for _, c := range cells {
			s.sockets = append(s.sockets, program.Socket{Workload: w.Name, Cell: c})
			ids = append(ids, s.identity(workload, w.Labels, c))
		}
	}
	return ids
}

// sortIdentities numbers the identities by key and fills the numbers in.
func (s *space) sortIdentities(rows []program.Address, owned map[netip.Prefix]identity, sockets []identity) {
	for _, id := range owned {
		s.identities = append(s.identities, id)
	}
	s.identities = append(s.identities, sockets...)
	slices.SortFunc(s.identities, func(a, b identity) int { return cmp.Compare(a.key, b.key) })
	s.identities = slices.CompactFunc(s.identities, func(a, b identity) bool { return a.key == b.key })
	for i, id := range s.identities {
		s.index[id.key] = i
	}
	for i := range rows {
		rows[i].Identity = s.index[owned[rows[i].Prefix].key]
	}
	for i := range s.sockets {
		s.sockets[i].Identity = s.index[sockets[i].key]
	}
	s.addresses, s.internet = rows, make([]bool, len(s.identities))
	for i := range s.identities {
		s.internet[i] = s.identities[i].internet()
	}
}

// among returns the identities that are among some peers, none of which is a domain; text is that of
// the peers.
func (s *space) among(text string, ps program.Peers) []int {
	if found, ok := s.members[text]; ok {
		return found
	}
	var found []int
	for i := range s.identities {
		if s.identities[i].among(ps) {
			found = append(found, i)
		}
	}
	s.members[text] = found
	return found
}

func (s *space) identityKeys() []program.Identity {
	keys := make([]program.Identity, len(s.identities))
	for i, id := range s.identities {
		keys[i].Key = id.key
	}
	return keys
}

func (s *space) identity(o owner, labels []program.Label, cell int) identity {
	who := [...]string{"world", "host", ""}[o]
	if o == workload {
		who = labelsText(labels)
	}
	return identity{key: who + " at " + s.keys[cell], owner: o, labels: labels, cell: s.cells[cell]}
}

func labelsText(labels []program.Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = strconv.Quote(l.Key) + " = " + strconv.Quote(l.Value)
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

// cell returns the index of the longest cell that contains a.
func (s *space) cell(a netip.Addr) int {
	best := -1
	for i, c := range s.cells {
		if c.Contains(a) && (best < 0 || c.Bits() >= s.cells[best].Bits()) {
			best = i
		}
	}
	return best
}

func single(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen())
}

// mentioned returns the prefixes that cut the space, sorted.
func mentioned(rules *program.Rules) []netip.Prefix {
	ps, special := written(rules)
	if special {
		ps = append(ps, program.SpecialPurpose()...)
	}
	slices.SortFunc(ps, comparePrefixes)
	return slices.Compact(ps)
}

// written returns the prefixes that the rules name, the families and loopback, and whether a rule
// asks for the internet.
func written(rules *program.Rules) ([]netip.Prefix, bool) {
	ps := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	}
	special := false
	for i := range rules.Policies {
		for _, d := range []program.Direction{program.Egress, program.Ingress} {
			b := rules.Policies[i].Block(d)
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				for _, p := range slices.Concat(r.Peers.Include, r.Peers.Except) {
					switch p.Kind {
					case program.PeerPrefix:
						ps = append(ps, p.Prefix.Masked())
					case program.PeerInternet:
						special = true
					case program.PeerDomain:
						special = true
						ps = append(ps, p.Domain.Private...)
					}
				}
				for i := range r.Resolvers {
					ps = append(ps, resolverPrefixes(&r.Resolvers[i], rules.Inventory.Resolvers)...)
				}
			}
		}
	}
	return ps, special
}

// resolverPrefixes are the prefixes by which a resolver is known.
func resolverPrefixes(r *program.Resolver, node []netip.Addr) []netip.Prefix {
	var ps []netip.Prefix
	if r.Node {
		for _, a := range node {
			ps = append(ps, single(a))
		}
	}
	for _, p := range r.Peers.Include {
		if p.Kind == program.PeerPrefix {
			ps = append(ps, p.Prefix.Masked())
		}
	}
	return ps
}

// cellKey names a cell by its prefix and by the widest narrower cells that are cut out of it, in
// full or, where they are many, by their hash. Two programs may mention different prefixes and so
// give one prefix different extents; with what is cut out in the key, equal keys mean equal sets of
// addresses.
func cellKey(cells []netip.Prefix, i int) string {
	var cut []string
	var last netip.Prefix
	for _, c := range cells {
		if c != cells[i] && c.Overlaps(cells[i]) && c.Bits() > cells[i].Bits() &&
			!(last.IsValid() && last.Overlaps(c)) {
			last, cut = c, append(cut, c.String())
		}
	}
	switch {
	case len(cut) == 0:
		return cells[i].String()
	case len(cut) <= 3:
		return cells[i].String() + " less " + strings.Join(cut, ", ")
	}
	return fmt.Sprintf("%s less %d prefixes %s", cells[i], len(cut), digest(strings.Join(cut, ",")))
}

// digest names a text by 128 bits of its SHA-256, in hexadecimal.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
