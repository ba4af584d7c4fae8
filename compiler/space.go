// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
)

// space is the address space as the rules and the inventory divide it.
type space struct {
	*cells
	identities []*identity // sorted by key
	byOwner    [3][]*identity
	byCell     [][]*identity
	byLabel    map[program.Label][]*identity
	addresses  []program.Address
	around     []int // of addresses: the narrowest wider one, -1
	sockets    []program.Socket
	residents  []*resident      // the workloads of the inventory
	lists      map[string]*list // by text
}

// identity is a workload's labels, the host or the world, in a cell.
type identity struct {
	key     string
	owner   owner
	labels  []program.Label
	prefix  netip.Prefix // of the cell
	cell    int
	special bool // inside of a special-purpose block

	// ends are the workloads of this node behind devices and in cgroups, nil where there are none;
	// outside says that there is somebody else.
	ends    [2]*end
	outside bool

	index int   // among the identities of the program
	rows  []int // of the addresses that are its own
	mark  *list // the list that asked last whether it is among its members
}

// v4 reports whether the addresses of id are of IPv4.
func (id *identity) v4() bool { return id.prefix.Addr().Is4() }

// add takes a workload in.
func (id *identity) add(r *resident) {
	if !r.Local() {
		id.outside = true
		return
	}
	kind := bit(r.Cgroup != "")
	if id.ends[kind] == nil {
		id.ends[kind] = &end{identity: id, who: r, alone: true}
	}
	id.ends[kind].alone = id.ends[kind].who == r
}

// resident is a workload and the tables of this node that judge it, -1 for none.
type resident struct {
	*program.Workload
	egress, ingress int
}

type owner uint8

const (
	world owner = iota
	host
	workload
)

func newSpace(rules *program.Rules) *space {
	s := &space{cells: newCells(mentioned(rules)), lists: make(map[string]*list), sockets: []program.Socket{}}
	s.name()
	known := make(map[string]*identity)
	owned := make(map[netip.Prefix]bool)
	var owners []*identity // of the addresses
	add := func(p netip.Prefix, id *identity, row program.Address) {
		row.Prefix, row.Cell, owned[p] = p, id.cell, true
		s.addresses, owners = append(s.addresses, row), append(owners, id)
	}
	inv := &rules.Inventory
	for i := range inv.Workloads {
		w := &resident{&inv.Workloads[i], -1, -1}
		s.residents = append(s.residents, w)
		row := program.Address{Owned: true}
		if w.Interface != "" {
			row.Workload = w.Name
		}
		for _, a := range w.Addresses {
			id := s.identity(known, workload, w.Labels, s.find(a.Unmap()))
			id.add(w)
			add(single(a), id, row)
		}
	}
	for _, a := range inv.Node {
		if !a.IsLoopback() {
			add(single(a), s.identity(known, host, nil, s.find(a.Unmap())), program.Address{Owned: true, Node: true})
		}
	}
	for i, p := range s.prefixes {
		switch {
		case owned[p]:
		case p.Addr().IsLoopback():
			add(p, s.identity(known, host, nil, i), program.Address{Owned: true, Node: true})
		default:
			add(p, s.identity(known, world, nil, i), program.Address{})
		}
	}
	sockets := s.hostWorkloads(known)
	s.sortIdentities(known)
	for i := range s.addresses {
		s.addresses[i].Identity = owners[i].index
	}
	for i := range s.sockets {
		s.sockets[i].Identity = sockets[i].index
	}
	s.sortAddresses()
	return s
}

// identity returns the known identity or makes it known.
func (s *space) identity(known map[string]*identity, o owner, labels []program.Label, cell int) *identity {
	who := [...]string{"world", "host", ""}[o]
	if o == workload {
		who = labelsText(labels)
	}
	key := who + " at " + s.keys[cell]
	if known[key] == nil {
		known[key] = &identity{key: key, owner: o, labels: labels, prefix: s.prefixes[cell], cell: cell, special: s.special[cell], outside: o != workload}
	}
	return known[key]
}

// hostWorkloads gives each host workload an identity in every cell that holds a node address.
func (s *space) hostWorkloads(known map[string]*identity) []*identity {
	var cells []int
	for _, a := range s.addresses {
		if a.Node {
			cells = append(cells, a.Cell)
		}
	}
	slices.Sort(cells)
	cells = slices.Compact(cells)
	var ids []*identity
	for _, w := range s.residents {
		if w.Cgroup == "" {
			continue
		}
		for _, c := range cells {
			id := s.identity(known, workload, w.Labels, c)
			id.add(w)
			s.sockets, ids = append(s.sockets, program.Socket{Workload: w.Name, Cell: c}), append(ids, id)
		}
	}
	return ids
}

// sortIdentities numbers the identities by key and indexes them.
func (s *space) sortIdentities(known map[string]*identity) {
	for _, id := range known {
		s.identities = append(s.identities, id)
	}
	slices.SortFunc(s.identities, func(a, b *identity) int { return cmp.Compare(a.key, b.key) })
	s.byCell, s.byLabel = make([][]*identity, len(s.prefixes)), make(map[program.Label][]*identity)
	for i, id := range s.identities {
		id.index = i
		s.byOwner[id.owner] = append(s.byOwner[id.owner], id)
		s.byCell[id.cell] = append(s.byCell[id.cell], id)
		for _, l := range id.labels {
			s.byLabel[l] = append(s.byLabel[l], id)
		}
	}
}

// sortAddresses sorts the addresses and finds what is around each, and whose it is.
func (s *space) sortAddresses() {
	slices.SortFunc(s.addresses, func(a, b program.Address) int { return comparePrefixes(a.Prefix, b.Prefix) })
	s.around = nesting(len(s.addresses), func(i int) netip.Prefix { return s.addresses[i].Prefix })
	for i, a := range s.addresses {
		id := s.identities[a.Identity]
		id.rows = append(id.rows, i)
	}
}

func (s *space) identityKeys() []program.Identity {
	keys := make([]program.Identity, len(s.identities))
	for i, id := range s.identities {
		keys[i].Key = id.key
	}
	return keys
}

func labelsText(labels []program.Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = strconv.Quote(l.Key) + " = " + strconv.Quote(l.Value)
	}
	return "{" + strings.Join(texts, ", ") + "}"
}
