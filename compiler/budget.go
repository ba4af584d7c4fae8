// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// budget is how much tables take of what a node holds.
type budget struct{ members, entries, ranges int }

func (b *budget) add(other budget) {
	b.members, b.entries, b.ranges = b.members+other.members, b.entries+other.entries, b.ranges+other.ranges
}

// within reports whether a node holds b.
func (b budget) within(l *program.Limits) bool {
	return b.members <= l.Members && b.entries <= l.Entries && b.ranges <= l.Ranges
}

// budgetOf is that of entries.
func budgetOf(entries []program.Entry) (b budget) {
	for _, e := range entries {
		exact, ranges := e.Rows()
		b.entries, b.ranges = b.entries+exact, b.ranges+ranges
	}
	return b
}

// limitTables reports that the tables of some scopes are more than a node holds.
func (c *compilation) limitTables(spent budget, scopes []*scope) {
	if spent.members > c.limits.Members {
		c.limitMembers(scopes)
		return
	}
	what, of := "entries", func(b budget) int { return b.entries }
	most, help := c.limits.Entries, "name fewer single ports, or peers with more in common, or give more workloads the same policies"
	if spent.entries <= most {
		what, of = "blocks of port ranges", func(b budget) int { return b.ranges }
		most, help = c.limits.Ranges, "a range is cut into blocks of a power of two: begin it at a multiple of its length, as 8192-16383"
	}
	owed := make(map[string]int)
	for _, s := range scopes {
		for i := range s.classes {
			for _, e := range s.classes[i].entries {
				owed[e.Verdict.Rule] += of(budgetOf([]program.Entry{e}))
			}
		}
	}
	c.tooMuch(CodeLimitEntries, fmt.Sprintf("the tables of a node hold %s %s, and there are more", thousands(most), what), owed, "makes", help)
}

// limitMembers reports that some scopes tell more identities from strangers than a node holds.
func (c *compilation) limitMembers(scopes []*scope) {
	owed := make(map[string]int)
	for _, s := range scopes {
		for _, r := range s.rules {
			if r.list >= 0 {
				owed[r.key] += len(s.found[r.list].others)
			}
		}
	}
	c.tooMuch(CodeLimitMembers, fmt.Sprintf("the tables of a node tell %s peers apart, and there are more", thousands(c.limits.Members)), owed, "speaks of",
		"give the peers fewer sets of labels, or give more workloads of this node the same policies")
}

// limitProfiles reports that some rows, which lead to profiles, are more than a node holds, or their
// profiles.
func (c *compilation) limitProfiles(rows map[program.ProfileRow]profileUse, most int, what, help string) {
	owed := make(map[string]int)
	for row := range rows {
		owed[c.asks(row)]++
	}
	c.tooMuch(CodeLimitProfiles, fmt.Sprintf("a node holds %s %s, and there are more", thousands(most), what), owed, "asks for", help)
}

// asks returns the rule that makes a row lead to a profile.
func (c *compilation) asks(row program.ProfileRow) string {
	half := func(table, class int) string {
		if table < 0 || class < 0 {
			return ""
		}
		if v := lookup(c.scopes[table].classes[class].entries, program.ProtoTCP, row.Port); v.L7 != program.L7None {
			return v.Rule
		}
		return ""
	}
	return cmp.Or(half(row.Egress, row.EgressClass), half(row.Egress, row.NameClass), half(row.Ingress, row.IngressClass))
}

// limitSpace reports workloads, addresses and prefixes that are more than a node holds. It returns
// false if there are some.
func (c *compilation) limitSpace() bool {
	fit := true
	wrong := func(n, most int, what, more string) {
		fit = false
		c.diags.Add(diag.Diagnostic{
			Code:    CodeLimitInventory,
			Summary: fmt.Sprintf("there are %s %s, and a node holds %s%s", thousands(n), what, thousands(most), more),
		})
	}
	if n, most := c.space.local, c.limits.Workloads; n > most {
		wrong(n, most, "workloads of this node", "")
	}
	if n, most := c.space.asSockets, c.limits.Sockets; n > most {
		wrong(n, most, "places where workloads in cgroups have an address of the node", ": name fewer prefixes in which it has addresses")
	}
	if n, most := c.space.wide, c.limits.Prefixes; n > most {
		fit = false
		c.limitPrefixes(n, most, "prefixes", func(p netip.Prefix) bool { return !p.IsSingleIP() })
	}
	n, most := c.space.exact, c.limits.Addresses
	switch {
	case n <= most:
	case c.space.singles() > n/2:
		fit = false
		c.limitPrefixes(n, most, "addresses", netip.Prefix.IsSingleIP)
	default:
		wrong(n, most, "addresses", c.mostAddresses(n/2))
	}
	return fit
}

// mostAddresses says which workload has more than n addresses, if one has.
func (c *compilation) mostAddresses(n int) string {
	for _, w := range c.rules.Inventory.Workloads {
		if len(w.Addresses) > n {
			return fmt.Sprintf(": workload %q alone has %s", w.Name, thousands(len(w.Addresses)))
		}
	}
	return ""
}

// limitPrefixes reports that the prefixes of a kind are more than a node holds.
func (c *compilation) limitPrefixes(n, most int, what string, is func(netip.Prefix) bool) {
	owed := make(map[string]int)
	for _, p := range c.all {
		for _, b := range []*program.Block{p.content.Egress, p.content.Ingress} {
			for i := 0; b != nil && i < len(b.Rules); i++ {
				var m mention
				m.add(&b.Rules[i])
				m.prefixes = slices.DeleteFunc(m.prefixes, func(p netip.Prefix) bool { return !is(p) })
				owed[p.key(b.Rules[i].ID)] += len(m.prefixes)
			}
		}
	}
	c.tooMuch(CodeLimitPrefixes, fmt.Sprintf("a node holds %s %s, and there are %s", thousands(most), what, thousands(n)), owed, "names",
		"write neighbours as one wider prefix, or name the peers by labels")
}

// mostRules is how many rules are named to which something is owed.
const mostRules = 3

// tooMuch reports that something is more than a node holds, at the rule to which the most of it is owed,
// with others to which at least half as much is.
func (c *compilation) tooMuch(code diag.Code, summary string, owed map[string]int, does, help string) {
	d := diag.Diagnostic{Code: code, Summary: summary, Help: help}
	rules := slices.DeleteFunc(sortedKeys(owed), func(key string) bool { return owed[key] == 0 || c.place(c.find(key)).rule == nil })
	slices.SortStableFunc(rules, func(a, b string) int { return cmp.Compare(owed[b], owed[a]) })
	for i, key := range rules[:min(mostRules, len(rules))] {
		if 2*owed[key] < owed[rules[0]] {
			break
		}
		span, says := c.span(c.find(key)), fmt.Sprintf("rule %s %s %s of them", key, does, thousands(owed[key]))
		if i == 0 {
			d.Span, d.Summary = span, summary+": "+says
		} else {
			d.Related = append(d.Related, diag.Related{Span: span, Summary: says})
		}
	}
	c.diags.Add(d)
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
