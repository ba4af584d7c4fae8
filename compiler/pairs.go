// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"slices"

	"mpol/compiler/program"
)

// end is who is alike as an end of flows that a profile may be for: the workloads of this node with
// one identity, behind devices or in cgroups, or whoever else has an identity.
type end struct {
	*identity
	who   *resident // one of the workloads of this node; nil for the others
	alone bool      // it is the only one
}

// table is the number of the table that judges e, -1 for none.
func (e *end) table(d program.Direction) int {
	if e.who == nil {
		return -1
	}
	return e.who.table(d)
}

func (e *end) looped() bool { return e.who != nil && e.who.Cgroup != "" }

// same reports whether both are one workload and nobody else: a flow that is never judged.
func same(a, b *end) bool { return a.alone && b.alone && a.who == b.who }

// pairs finds the rows that lead to profiles, of all pairs of ends whose flows may be handed to the
// proxy of requests. It looks at no other pairs: from each class with such a port it goes to those who
// are of it and to the subjects of its table.
type pairs struct {
	*compilation
	clients, servers [][]*end // those of this node, by their table
	found            map[program.ProfileRow]*profileUse
}

// profileUse is what a row leads to. Local holds while every server of the row is behind a device.
type profileUse struct {
	kind  program.L7Kind
	local bool
}

// findRows finds every row.
func (c *compilation) findRows() map[program.ProfileRow]*profileUse {
	n := len(c.tables.Tables)
	p := &pairs{c, make([][]*end, n), make([][]*end, n), make(map[program.ProfileRow]*profileUse)}
	for _, id := range c.space.identities {
		for k := range id.ends {
			e := &id.ends[k]
			if t := e.table(program.Egress); t >= 0 {
				p.clients[t] = append(p.clients[t], e)
			}
			if t := e.table(program.Ingress); t >= 0 {
				p.servers[t] = append(p.servers[t], e)
			}
		}
	}
	for i := range c.tables.Tables {
		t := &c.tables.Tables[i]
		ports, some := make([][]uint16, len(t.Classes)), false
		for j := range t.Classes {
			ports[j] = requested(&t.Classes[j])
			some = some || len(ports[j]) > 0
		}
		switch {
		case !some:
		case t.Direction == program.Egress:
			p.egress(i, ports)
		default:
			p.ingress(i, ports)
		}
	}
	return p.found
}

// ingress adds the rows of what a table asks of its clients, at the ports of each class.
func (p *pairs) ingress(table int, requested [][]uint16) {
	for class, ids := range p.byClass(table) {
		ports, outside := requested[class], families{}
		if len(ports) == 0 {
			continue
		}
		for _, id := range ids {
			outside.add(id)
			for k := range id.ends {
				client := &id.ends[k]
				for _, server := range p.servers[table] {
					if client.who != nil && client.v4() == server.v4() && !same(client, server) {
						p.add(client, server, -1, ports)
					}
				}
			}
		}
		for _, server := range p.servers[table] {
			if client := outside.of(server); client != nil {
				p.add(client, server, -1, ports)
			}
		}
	}
}

// egress adds the rows of what a table asks of its servers, and those of its name sets.
func (p *pairs) egress(table int, requested [][]uint16) {
	for class, ids := range p.byClass(table) {
		ports, outside := requested[class], families{}
		for _, id := range ids {
			outside.add(id)
			for k := range id.ends {
				server := &id.ends[k]
				for _, client := range p.clients[table] {
					if len(ports) > 0 && server.who != nil && client.v4() == server.v4() && !same(client, server) {
						p.add(client, server, -1, ports)
					}
				}
			}
		}
		for _, client := range p.clients[table] {
			if server := outside.of(client); server != nil {
				p.add(client, server, -1, ports)
			}
		}
		p.learned(table, ids, ports, requested)
	}
}

// learned adds the rows of a table's name sets for servers of one class, at the ports that the class
// or the name set asks for.
func (p *pairs) learned(table int, ids []*identity, ports []uint16, requested [][]uint16) {
	s := p.scopes[table]
	ids = slices.DeleteFunc(ids, func(id *identity) bool { return id.owner != world })
	for name := s.names; name < len(s.classes); name++ {
		all := slices.Concat(ports, requested[name])
		if len(all) == 0 {
			continue
		}
		opened := families{}
		for _, id := range ids {
			if s.opens(&s.classes[name], id) {
				opened.add(id)
			}
		}
		for _, client := range p.clients[table] {
			if server := opened.of(client); server != nil {
				p.add(client, server, name, all)
			}
		}
	}
}

// families are two ends that are not of this node, one of IPv6 and one of IPv4, nil where there is
// none. To profiles they stand for every other of their class.
type families [2]*end

// add takes id in if it is somebody's outside of this node.
func (f *families) add(id *identity) {
	if family := bit(id.v4()); id.outside && f[family] == nil {
		f[family] = &end{identity: id}
	}
}

// of returns the end of the family of e.
func (f *families) of(e *end) *end { return f[bit(e.v4())] }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// byClass returns the identities of each class of a table but those of name sets.
func (p *pairs) byClass(table int) [][]*identity {
	t := &p.tables.Tables[table]
	out := make([][]*identity, p.scopes[table].names)
	members := t.Members
	for _, id := range p.space.identities {
		class := 0
		if len(members) > 0 && members[0].Identity == id.index {
			class, members = members[0].Class, members[1:]
		}
		out[class] = append(out[class], id)
	}
	return out
}

// add adds the rows of a client and a server at some ports, for a name set or -1.
func (p *pairs) add(client, server *end, name int, ports []uint16) {
	row := program.ProfileRow{
		Egress: -1, EgressClass: -1, NameClass: name, Ingress: -1, IngressClass: -1, Looped: client.looped(),
	}
	var egress, names, ingress *program.Class
	if row.Egress = client.table(program.Egress); row.Egress >= 0 {
		t := &p.tables.Tables[row.Egress]
		row.EgressClass = t.Class(server.index)
		egress = &t.Classes[row.EgressClass]
		if name >= 0 {
			names = &t.Classes[name]
		}
	}
	if row.Ingress = server.table(program.Ingress); row.Ingress >= 0 {
		t := &p.tables.Tables[row.Ingress]
		row.IngressClass = t.Class(client.index)
		ingress = &t.Classes[row.IngressClass]
	}
	for _, row.Port = range ports {
		out, in := p.says(client, egress, row.Port), p.says(server, ingress, row.Port)
		if names != nil {
			v := lookup(names, program.ProtoTCP, row.Port)
			if v.Rank%ranksATier != rankAllow {
				continue // it takes no part
			}
			out = merge(out, v)
		}
		if kind := p.redirects(out, in); kind != program.L7None {
			if p.found[row] == nil {
				p.found[row] = &profileUse{kind: kind, local: true}
			}
			p.found[row].local = p.found[row].local && server.who != nil && server.who.Interface != ""
		}
	}
}

// says is the verdict of the half of an end, by its class of the other end, nil where the end is
// governed by no table.
func (p *pairs) says(e *end, class *program.Class, port uint16) program.Verdict {
	if class != nil {
		return lookup(class, program.ProtoTCP, port)
	}
	v := p.tables.Ungoverned
	v.Allow = v.Allow || e.who == nil
	return v
}

// redirects returns the kind of proxy of requests to which two halves hand a flow, or none.
func (p *pairs) redirects(egress, ingress program.Verdict) program.L7Kind {
	kind := max(egress.L7, ingress.L7)
	switch {
	case !egress.Allow || !ingress.Allow:
	case egress.L7 != program.L7None && ingress.L7 != program.L7None && egress.L7 != ingress.L7:
		p.halvesMixed(egress, ingress)
	case kind == program.L7HTTP || kind == program.L7TLS:
		return kind
	}
	return program.L7None
}

// requested returns the ports at which an entry of a class has an L7 kind of requests.
func requested(cl *program.Class) []uint16 {
	var ports []uint16
	for _, e := range cl.Entries {
		if e.Proto == program.ProtoTCP && (e.Verdict.L7 == program.L7HTTP || e.Verdict.L7 == program.L7TLS) {
			for p := int(e.First); p <= int(e.Last); p++ {
				ports = append(ports, uint16(p))
			}
		}
	}
	return ports
}

// lookup finds the most exact entry; every class has one for all protocols.
func lookup(cl *program.Class, proto uint8, port uint16) program.Verdict {
	// The last that begins at or before the port: narrow entries, behind the wide one, do not overlap.
	i, _ := slices.BinarySearchFunc(cl.Entries, port, func(e program.Entry, port uint16) int {
		return cmp.Or(cmp.Compare(e.Proto, proto), cmp.Compare(e.First, port), -1)
	})
	if e := cl.Entries[i-1]; e.Proto == proto && port <= e.Last {
		return e.Verdict
	}
	wide, ok := slices.BinarySearchFunc(cl.Entries, proto, func(e program.Entry, proto uint8) int { return cmp.Compare(e.Proto, proto) })
	if ok {
		return cl.Entries[wide].Verdict
	}
	return cl.Entries[0].Verdict
}
