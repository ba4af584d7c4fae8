// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// end is one side of a flow as profiles see it, with how many workloads are alike in it.
type end struct {
	identity        int
	egress, ingress int // tables, -1
	local           bool
	looped, device  bool // a host workload, an interface workload
	v4              bool
}

// group is an end with who is there: one workload, or more.
type group struct {
	end
	workloads []string
}

// lowerProfiles makes the profiles and the rows that lead to them.
func (c *compilation) lowerProfiles() {
	groups := c.groups()
	c.requested = make([][][]uint16, len(c.tables.Tables))
	for i := range c.tables.Tables {
		for j := range c.tables.Tables[i].Classes {
			c.requested[i] = append(c.requested[i], requested(&c.tables.Tables[i].Classes[j]))
		}
	}
	found := make(map[program.ProfileRow]*profileUse)
	for i := range groups {
		for j := range groups {
			client, server := &groups[i], &groups[j]
			if client.v4 != server.v4 || !client.local && !server.local || same(client, server) {
				continue
			}
			for _, port := range c.l7Ports(client, server) {
				c.addRows(client, server, port, found)
			}
		}
	}
	c.numberProfiles(found)
}

// profileUse is what a row leads to. Local holds while every server of the row is behind a device.
type profileUse struct {
	kind  program.L7Kind
	local bool
}

// same reports whether both groups are one workload and nobody else: a flow that is never judged.
func same(a, b *group) bool {
	return len(a.workloads) == 1 && slices.Equal(a.workloads, b.workloads)
}

func (c *compilation) groups() []group {
	bound := make(map[string]program.Bound)
	for _, b := range c.tables.Subjects {
		bound[b.Workload] = b
	}
	owner := make(map[netip.Addr]string)
	for _, w := range c.rules.Inventory.Workloads {
		for _, a := range w.Addresses {
			owner[a.Unmap()] = w.Name
		}
	}
	members := make(map[end][]string)
	add := func(identity int, v4 bool, name string) {
		e := end{identity: identity, egress: -1, ingress: -1, v4: v4}
		if b, ok := bound[name]; ok {
			e.egress, e.ingress, e.local = b.Egress, b.Ingress, true
			e.looped, e.device = b.Cgroup != "", b.Interface != ""
		}
		if !slices.Contains(members[e], name) {
			members[e] = append(members[e], name)
		}
	}
	for _, a := range c.tables.Addresses {
		name := ""
		if a.Owned && a.Prefix.IsSingleIP() {
			name = owner[a.Prefix.Addr()]
		}
		add(a.Identity, a.Prefix.Addr().Is4(), name)
	}
	for _, s := range c.tables.Sockets {
		add(s.Identity, c.space.prefixes[s.Cell].Addr().Is4(), s.Workload)
	}
	var gs []group
	for e, names := range members {
		gs = append(gs, group{e, names})
	}
	slices.SortFunc(gs, func(a, b group) int {
		return cmp.Or(
			cmp.Compare(a.identity, b.identity), cmp.Compare(a.egress, b.egress), cmp.Compare(a.ingress, b.ingress),
			compareBool(a.looped, b.looped), compareBool(a.device, b.device), compareBool(a.v4, b.v4),
		)
	})
	return gs
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
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

// l7Ports returns the ports at which an entry between two ends has an L7 kind of requests, sorted.
func (c *compilation) l7Ports(client, server *group) []uint16 {
	var ports []uint16
	if client.egress >= 0 {
		s := c.scopes[client.egress]
		ports = slices.Clone(c.requested[client.egress][s.table.Class(server.identity)])
		for _, of := range c.requested[client.egress][s.names:] {
			ports = append(ports, of...)
		}
	}
	if server.ingress >= 0 {
		ports = append(ports, c.requested[server.ingress][c.tables.Tables[server.ingress].Class(client.identity)]...)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// addRows adds the rows of a pair of ends and a port, without a name and with each name set that
// may take part.
func (c *compilation) addRows(client, server *group, port uint16, found map[program.ProfileRow]*profileUse) {
	row := program.ProfileRow{
		Egress: client.egress, EgressClass: -1, NameClass: -1, Ingress: server.ingress, IngressClass: -1,
		Port: port, Looped: client.looped,
	}
	egress, ingress := c.tables.Ungoverned, c.tables.Ungoverned
	if !client.local {
		egress.Allow = true
	}
	if !server.local {
		ingress.Allow = true
	}
	if row.Egress >= 0 {
		row.EgressClass = c.tables.Tables[row.Egress].Class(server.identity)
		egress = lookup(&c.tables.Tables[row.Egress].Classes[row.EgressClass], program.ProtoTCP, port)
	}
	if row.Ingress >= 0 {
		row.IngressClass = c.tables.Tables[row.Ingress].Class(client.identity)
		ingress = lookup(&c.tables.Tables[row.Ingress].Classes[row.IngressClass], program.ProtoTCP, port)
	}
	add := func(egress program.Verdict) {
		kind := max(egress.L7, ingress.L7)
		switch {
		case !egress.Allow || !ingress.Allow:
			return
		case egress.L7 != program.L7None && ingress.L7 != program.L7None && egress.L7 != ingress.L7:
			c.halvesMixed(egress, ingress)
			return
		case kind != program.L7HTTP && kind != program.L7TLS:
			return
		}
		if found[row] == nil {
			found[row] = &profileUse{kind: kind, local: true}
		}
		found[row].local = found[row].local && server.device
	}
	add(egress)
	if row.Egress < 0 || c.space.identities[server.identity].owner != world {
		return
	}
	s := c.scopes[row.Egress]
	for row.NameClass = s.names; row.NameClass < len(s.classes); row.NameClass++ {
		if !s.opens(&s.classes[row.NameClass], c.space.identities[server.identity]) {
			continue
		}
		add(merge(egress, lookup(&s.table.Classes[row.NameClass], program.ProtoTCP, port)))
	}
}

// lookup finds the most exact entry; every class has one.
func lookup(cl *program.Class, proto uint8, port uint16) program.Verdict {
	best := program.Verdict{}
	width := -1
	for _, e := range cl.Entries {
		if e.Proto != proto && e.Proto != noProto || port < e.First || port > e.Last {
			continue
		}
		w := int(e.Last) - int(e.First)
		if e.Proto == noProto {
			w = 0x10000
		}
		if width < 0 || w < width {
			best, width = e.Verdict, w
		}
	}
	return best
}

// opens reports whether an address of id may belong to a name set.
func (s *scope) opens(names *class, id *identity) bool {
	return !slices.ContainsFunc(names.names, func(p int) bool { return !id.opened(&s.peers[p].Domain) })
}

// speaking returns the peers of a name set that some rule allows a port.
func (s *scope) speaking(names *class, port uint16) []int {
	var out []int
	for _, p := range names.names {
		if slices.ContainsFunc(s.rules, func(r *scopeRule) bool {
			return slices.ContainsFunc(r.names, func(n ruleName) bool { return n.peer == p }) && coversPort(r.Rule, program.ProtoTCP, port)
		}) {
			out = append(out, p)
		}
	}
	return out
}

// merge joins the verdicts of a static class and a name set.
func merge(a, b program.Verdict) program.Verdict {
	v := a
	if before(b, a) {
		v = b
	}
	v.L7 = max(a.L7, b.L7)
	if a.L7 != program.L7None && b.L7 != program.L7None && a.L7 != b.L7 || v.L7 == program.L7Mixed {
		v.Allow = false
	}
	return v
}

// numberProfiles makes the profile of each row and sorts both.
func (c *compilation) numberProfiles(found map[program.ProfileRow]*profileUse) {
	byKey := make(map[string]program.Profile)
	for row, use := range found {
		p := c.profile(row, use)
		byKey[p.Key] = p
	}
	number := make(map[string]int)
	for i, k := range sortedKeys(byKey) {
		number[k] = i
		c.tables.Profiles = append(c.tables.Profiles, byKey[k])
	}
	for row, use := range found {
		row.Profile = number[c.profileKey(row, use)]
		c.tables.ProfileRows = append(c.tables.ProfileRows, row)
	}
	slices.SortFunc(c.tables.ProfileRows, func(a, b program.ProfileRow) int {
		return cmp.Or(
			cmp.Compare(a.Egress, b.Egress), cmp.Compare(a.EgressClass, b.EgressClass), cmp.Compare(a.NameClass, b.NameClass),
			cmp.Compare(a.Ingress, b.Ingress), cmp.Compare(a.IngressClass, b.IngressClass), cmp.Compare(a.Port, b.Port),
			compareBool(a.Looped, b.Looped),
		)
	})
}

// profileKey names a profile by its kind, port and way, and by the hash of the lineages and classes
// on both sides and of the name peers that have a say at the port: a name set without any leads where
// no name does.
func (c *compilation) profileKey(row program.ProfileRow, use *profileUse) string {
	way := "device"
	if row.Looped {
		way = "looped"
	}
	if use.local {
		way += "-local"
	}
	var parts []string
	add := func(table, class int) {
		if table < 0 {
			parts = append(parts, "absent")
			return
		}
		parts = append(parts, c.scopes[table].lineage, c.scopes[table].classes[class].key)
	}
	add(row.Egress, row.EgressClass)
	if row.NameClass >= 0 {
		s := c.scopes[row.Egress]
		for _, p := range s.speaking(&s.classes[row.NameClass], row.Port) {
			parts = append(parts, "name of "+s.peers[p].Key)
		}
	}
	add(row.Ingress, row.IngressClass)
	return fmt.Sprintf("%s-%d-%s-%s", use.kind, row.Port, way, digest(strings.Join(parts, "\n")))
}
