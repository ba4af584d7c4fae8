// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// lowerProfiles makes the profiles and the rows that lead to them.
func (c *compilation) lowerProfiles() {
	rows, fit := c.findRows()
	if !fit {
		c.limitProfiles(rows, c.limits.ProfileRows, "pairs of classes and ports whose requests are judged", "judge requests at fewer ports or of fewer peers")
		return
	}
	if !c.numberProfiles(rows) {
		c.limitProfiles(rows, c.limits.Profiles, "profiles of the L7 proxy",
			"judge requests at fewer ports or of fewer peers, or set listen.l7_first and l7_last of the agent's configuration to a wider range: each profile takes two ports")
	}
}

func compareBool(a, b bool) int { return cmp.Compare(bit(a), bit(b)) }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// opens reports whether an address of id may belong to a name set.
func (s *scope) opens(names *class, id *identity) bool {
	return !slices.ContainsFunc(names.names, func(p int) bool { return !id.opened(&s.peers[p].domain) })
}

// speaking returns the peers of a name set that some rule allows a port.
func (s *scope) speaking(names *class, port uint16) []int {
	var out []int
	for _, p := range names.names {
		if slices.ContainsFunc(s.rules, func(r *scopeRule) bool {
			return slices.ContainsFunc(r.names, func(n ruleName) bool { return n.peer == p }) && containsPort(r.L4, program.ProtoTCP, port)
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

// between is what a profile is made of: two classes of two tables.
type between struct {
	egress, ingress                 *scope
	egressClass, name, ingressClass string // keys
	port                            uint16
	looped                          bool
	profileUse
}

func (c *compilation) between(row program.ProfileRow, use profileUse) between {
	b := between{port: row.Port, looped: row.Looped, profileUse: use}
	if row.Egress >= 0 {
		b.egress = c.scopes[row.Egress]
		b.egressClass = b.egress.classes[row.EgressClass].key
		if row.NameClass >= 0 {
			b.name = b.egress.classes[row.NameClass].key
		}
	}
	if row.Ingress >= 0 {
		b.ingress = c.scopes[row.Ingress]
		b.ingressClass = b.ingress.classes[row.IngressClass].key
	}
	return b
}

// numberProfiles makes the profile of each row, or finds it as it was made before, and sorts both. It
// returns false as soon as there are more profiles than a node holds.
func (c *compilation) numberProfiles(found map[program.ProfileRow]profileUse) bool {
	made := make(map[between]*program.Profile, len(found))
	byKey := make(map[string]*program.Profile, len(found))
	lead := make([]*program.Profile, 0, len(found)) // to them, the rows
	rows := make([]program.ProfileRow, 0, len(found))
	for row, use := range found {
		b := c.between(row, use)
		p := c.profiles[b]
		if p == nil {
			p = c.profile(row, use)
		}
		if made[b], byKey[p.Key] = p, p; len(byKey) > c.limits.Profiles {
			return false
		}
		rows, lead = append(rows, row), append(lead, p)
	}
	c.profiles = made
	number := make(map[string]int, len(byKey))
	for i, k := range sortedKeys(byKey) {
		number[k] = i
		c.tables.Profiles = append(c.tables.Profiles, *byKey[k])
	}
	for i := range rows {
		rows[i].Profile = number[lead[i].Key]
	}
	slices.SortFunc(rows, func(a, b program.ProfileRow) int {
		return cmp.Or(
			cmp.Compare(a.Egress, b.Egress), cmp.Compare(a.EgressClass, b.EgressClass), cmp.Compare(a.NameClass, b.NameClass),
			cmp.Compare(a.Ingress, b.Ingress), cmp.Compare(a.IngressClass, b.IngressClass), cmp.Compare(a.Port, b.Port),
			compareBool(a.Looped, b.Looped),
		)
	})
	c.tables.ProfileRows = rows
	return true
}

// profileKey names a profile by its kind, port and way, and by the hash of the lineages and classes
// on both sides and of the name peers that have a say at the port: a name set without any leads where
// no name does.
func (c *compilation) profileKey(row program.ProfileRow, use profileUse) string {
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
			parts = append(parts, "name of "+s.peers[p].key)
		}
	}
	add(row.Ingress, row.IngressClass)
	return fmt.Sprintf("%s-%d-%s-%s", use.kind, row.Port, way, digest(strings.Join(parts, "\n")))
}
