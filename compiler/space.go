// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// space is the address space as the rules and the inventory divide it. Memory keeps it: what stays
// the same is the same object in the next run.
type space struct {
	*cells
	inventory program.Inventory // of the last run
	residents []*resident       // its workloads, sorted by name
	local     int               // how many of them are of this node
	rows      []row             // their own addresses, sorted
	kins      map[string]*kin   // by text
	host      *kin
	world     *kin
	// itself is the host as one whose flows are judged: as a host workload's, where judged is set.
	itself *resident
	judged bool

	known      map[string]*identity // by key
	identities []*identity          // sorted by key
	keys       []program.Identity
	addresses  []program.Address
	sockets    []program.Socket
	// exact and wide are how many addresses are single and how many are not; asSockets is how many
	// sockets there are, or would be if they were not too many.
	exact, wide, asSockets int

	*index                  // nil until it is asked for
	asked  int              // how often members were looked for
	lists  map[string]*list // by text
	// renumbered and peopled are the runs in which it changed last which identities there are, and which
	// people have them.
	renumbered, peopled int
}

// row is an address of a workload, which is of an identity.
type row struct {
	prefix netip.Prefix
	who    *resident
	id     *identity
}

// identity is a kin in a cell.
type identity struct {
	*kin
	key     string
	prefix  netip.Prefix // of the cell
	cell    int
	special bool // inside of a special-purpose block

	// ends are the workloads of this node behind devices and in cgroups; outside says that there is
	// somebody else.
	ends    [2]end
	outside bool
	seen    people // of the last update

	index   int // among the identities of the program
	run     int // the last in which an address was its own
	peopled int // the one in which the people changed last
	mark    int // the list that asked last whether it is among its members
}

// v4 reports whether the addresses of id are of IPv4.
func (id *identity) v4() bool { return id.prefix.Addr().Is4() }

// add takes a workload in.
func (id *identity) add(r *resident) {
	if !r.Local() {
		id.outside = true
		return
	}
	e := &id.ends[bit(r.Cgroup != "")]
	if e.who == nil {
		*e = end{identity: id, who: r, alone: true}
	}
	e.alone = e.who == r
}

// people is who has an identity, as far as it matters whose flows are judged.
type people struct {
	who     [2]*resident
	alone   [2]bool
	outside bool
}

func (id *identity) people() people {
	p := people{outside: id.outside}
	for way, e := range id.ends {
		p.who[way], p.alone[way] = e.who, e.alone
	}
	return p
}

func newSpace() *space {
	s := &space{
		kins: make(map[string]*kin), known: make(map[string]*identity), lists: make(map[string]*list),
		host: &kin{owner: host, text: "host"}, world: &kin{owner: world, text: "world"}, sockets: []program.Socket{},
	}
	s.itself = &resident{Workload: &program.Workload{Name: "host", Cgroup: "host"}, kin: s.host}
	return s
}

// holds reports whether the inventory is the very one of the last update.
func (s *space) holds(inv *program.Inventory) bool {
	return s.cells != nil && slices.Equal(s.inventory.Node, inv.Node) && identical(s.inventory.Workloads, inv.Workloads)
}

// identical reports whether two slices are one.
func identical[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// update makes the space that of some prefixes, which cut it, and an inventory, with no more sockets
// than given; judged says that there are policies for the host. The run is numbered.
func (s *space) update(cuts []netip.Prefix, inv *program.Inventory, judged bool, sockets, run int) {
	recut := s.cells == nil || !slices.Equal(cuts, s.prefixes)
	if recut {
		s.cells, s.index = newCells(cuts), nil
		s.cells.name()
	}
	came := s.meet(inv.Workloads)
	if !recut && came == nil && judged == s.judged && slices.Equal(s.inventory.Node, inv.Node) {
		s.inventory = *inv
		return
	}
	s.inventory, s.judged = *inv, judged
	for i := range s.rows {
		if r := &s.rows[i]; recut || r.id == nil {
			r.id = s.identity(r.who.kin, s.find(r.prefix.Addr()))
		}
	}
	shared := s.shared()
	for _, id := range s.known {
		id.ends, id.outside = [2]end{}, id.owner == world || id.owner == host && !judged
		if id.owner == host && judged {
			id.add(s.itself)
		}
	}
	for i := range s.rows {
		s.rows[i].id.add(s.rows[i].who)
	}
	seen := s.hostWorkloads(shared, sockets)
	s.number(run, shared, seen)
	s.people(run)
	s.write(shared, seen)
}

// people finds out whether other people are there.
func (s *space) people(run int) {
	s.peopled = max(s.peopled, s.renumbered)
	for _, id := range s.identities {
		if now := id.people(); now != id.seen {
			id.seen, id.peopled, s.peopled = now, run, run
			id.resettle(run)
		}
	}
}

// resettle tells the tables that judge the people of id that those change.
func (id *identity) resettle(run int) {
	for _, s := range id.scopes {
		if s != nil {
			s.settled = run
		}
	}
}

// shared returns the addresses of nobody's own: of the node and, where neither it nor a workload has
// them, of the cells.
func (s *space) shared() []row {
	var rows []row
	for _, a := range s.inventory.Node {
		if !a.IsLoopback() {
			rows = append(rows, row{prefix: single(a), id: s.identity(s.host, s.find(a.Unmap()))})
		}
	}
	slices.SortFunc(rows, compareRows)
	owned, nodes := s.rows, rows
	var cells []row
	for i, p := range s.prefixes {
		var taken bool
		if owned, taken = skip(owned, p); taken {
			continue
		}
		if nodes, taken = skip(nodes, p); taken {
			continue
		}
		who := s.world
		if p.Addr().IsLoopback() {
			who = s.host
		}
		cells = append(cells, row{prefix: p, id: s.identity(who, i)})
	}
	return merged(rows, cells, compareRows)
}

// skip leaves the rows out that are before p, and reports whether p is the next.
func skip(rows []row, p netip.Prefix) ([]row, bool) {
	for len(rows) > 0 && comparePrefixes(rows[0].prefix, p) < 0 {
		rows = rows[1:]
	}
	return rows, len(rows) > 0 && rows[0].prefix == p
}

func compareRows(a, b row) int { return comparePrefixes(a.prefix, b.prefix) }

// identity returns that of a kin in a cell.
func (s *space) identity(k *kin, cell int) *identity {
	if k.cells != s.cells {
		k.cells, k.at = s.cells, make(map[int]*identity)
	}
	id := k.at[cell]
	if id == nil {
		key := k.text + " at " + s.cells.keys[cell]
		id = s.known[key]
		if id == nil {
			id = &identity{kin: k, key: key, prefix: s.prefixes[cell], special: s.special[cell]}
			s.known[key] = id
		}
		id.cell, k.at[cell] = cell, id
	}
	return id
}

// socket is a host workload and its identity in a cell.
type socket struct {
	who *resident
	id  *identity
}

// hostWorkloads gives each host workload an identity in every cell that holds a node address, none if
// they would be more than most.
func (s *space) hostWorkloads(shared []row, most int) []socket {
	var cells []int
	for _, r := range shared {
		if r.id.owner == host {
			cells = append(cells, r.id.cell)
		}
	}
	slices.Sort(cells)
	cells = slices.Compact(cells)
	s.asSockets = 0
	for _, w := range s.residents {
		s.asSockets += bit(w.Cgroup != "") * len(cells)
	}
	if s.asSockets > most {
		return nil
	}
	var out []socket
	for _, w := range s.residents {
		if w.Cgroup == "" {
			continue
		}
		for _, c := range cells {
			id := s.identity(w.kin, c)
			id.add(w)
			out = append(out, socket{w, id})
		}
	}
	return out
}

// number leaves the identities that somebody is of, sorted by key.
func (s *space) number(run int, shared []row, sockets []socket) {
	var came []*identity
	live := func(id *identity) {
		if id.run == 0 {
			came = append(came, id)
		}
		id.run = run
	}
	for i := range s.rows {
		live(s.rows[i].id)
	}
	for i := range shared {
		live(shared[i].id)
	}
	for i := range sockets {
		live(sockets[i].id)
	}
	stay := make([]*identity, 0, len(s.identities))
	for _, id := range s.identities {
		if id.run == run {
			stay = append(stay, id)
		}
	}
	gone := len(stay) < len(s.identities)
	if len(s.known) > len(stay)+len(came) {
		for key, id := range s.known {
			if id.run != run {
				id.resettle(run)
				delete(s.known, key)
				delete(id.at, id.cell)
				id.run = 0
			}
		}
	}
	if len(came) == 0 && !gone {
		return
	}
	byKey := func(a, b *identity) int { return cmp.Compare(a.key, b.key) }
	slices.SortFunc(came, byKey)
	s.identities, s.renumbered, s.index = merged(stay, came, byKey), run, nil
	s.keys = make([]program.Identity, len(s.identities))
	for i, id := range s.identities {
		id.index, s.keys[i].Key = i, id.key
	}
	s.updateLists(came, gone, run)
}

// write makes what the program says of addresses and sockets.
func (s *space) write(shared []row, sockets []socket) {
	s.addresses, s.exact, s.wide = make([]program.Address, 0, len(s.rows)+len(shared)), 0, 0
	for _, r := range merged(s.rows, shared, compareRows) {
		a := program.Address{Prefix: r.prefix, Identity: r.id.index, Cell: r.id.cell, Owned: r.id.owner != world, Node: r.id.owner == host}
		if r.who != nil && r.who.Interface != "" {
			a.Workload = r.who.Name
		}
		s.addresses = append(s.addresses, a)
		single := bit(a.Prefix.IsSingleIP())
		s.exact, s.wide = s.exact+single, s.wide+1-single
	}
	s.sockets = make([]program.Socket, len(sockets))
	for i, k := range sockets {
		s.sockets[i] = program.Socket{Workload: k.who.Name, Cell: k.id.cell, Identity: k.id.index}
	}
}

// merged joins two sorted slices; of equal elements those of a come first.
func merged[T any](a, b []T, compare func(T, T) int) []T {
	out := make([]T, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compare(b[0], a[0]) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// singles returns how many cells are single addresses.
func (s *space) singles() (n int) {
	for _, p := range s.prefixes {
		n += bit(p.IsSingleIP())
	}
	return n
}
