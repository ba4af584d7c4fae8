// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"mpol/compiler/program"
)

// dump writes a Program as text for reading and comparing: what is enforced, and which rule is the
// cause. Equal programs give equal texts.
type dump struct {
	b strings.Builder
	p *program.Program
}

// dumpText returns the text of p.
func dumpText(p *program.Program) (string, error) {
	hash, err := p.Hash()
	if err != nil {
		return "", err
	}
	d := &dump{p: p}
	d.line(0, "program %s", hash)
	d.rules()
	d.workloads()
	d.identities()
	for i := range p.Tables.Tables {
		d.table(i)
	}
	for i := range p.Tables.Profiles {
		d.profile(i)
	}
	return d.b.String(), nil
}

func (d *dump) line(depth int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(&d.b, "%s%s\n", strings.Repeat("  ", depth), strings.TrimRight(text, " "))
}

// source returns what a rule is called and where it stands.
func (d *dump) source(id program.RuleID) string {
	s := d.p.Rules.Source(id)
	if s.File == "" {
		return s.Name
	}
	return fmt.Sprintf("%s (%s)", s.Name, s)
}

func (d *dump) rules() {
	r := &d.p.Rules
	d.line(0, "default %s: %s", r.Default, d.source(r.DefaultRule))
	for _, t := range r.Tiers {
		d.line(0, "tier %s order %d default %s", t.Name, t.Order, t.Default)
	}
	for _, p := range r.Policies {
		d.line(0, "policy %s for %s in %s", p.Name, subject(p.Subject), r.Tiers[p.Tier].Name)
		for _, dir := range []program.Direction{program.Ingress, program.Egress} {
			block := p.Block(dir)
			if block == nil {
				continue
			}
			d.line(1, "%s, else %s", dir, d.source(block.Default))
			for _, rule := range block.Rules {
				d.line(2, "%s: %s %s %s on %s%s", d.source(rule.ID), rule.Action, towards(dir), peers(rule.Peers), l4List(rule.L4), l7Text(rule.L7))
			}
		}
	}
}

func (d *dump) workloads() {
	inv := &d.p.Rules.Inventory
	for _, w := range inv.Workloads {
		d.line(0, "workload %s %s%s", w.Name, labels(w.Labels), place(&w))
	}
	for _, b := range d.p.Tables.Subjects {
		d.line(0, "subject %s egress %s ingress %s", b.Workload, d.tableName(b.Egress), d.tableName(b.Ingress))
	}
	d.line(0, "ungoverned: %s", d.verdict(d.p.Tables.Ungoverned))
}

// tableName names a table by its place in the list; its key is a hash that nobody can remember.
func (d *dump) tableName(i int) string {
	if i < 0 {
		return "none"
	}
	return fmt.Sprintf("table %d", i)
}

func (d *dump) identities() {
	t := &d.p.Tables
	for i, id := range t.Identities {
		d.line(0, "identity %d %s", i, id.Key)
	}
	for _, a := range t.Addresses {
		text := fmt.Sprintf("address %s identity %d cell %d", a.Prefix, a.Identity, a.Cell)
		if a.Workload != "" {
			text += " workload " + a.Workload
		}
		if a.Node {
			text += " node"
		}
		if a.Owned {
			text += " owned"
		}
		d.line(0, "%s", text)
	}
	for _, s := range t.Sockets {
		d.line(0, "socket %s cell %d identity %d", s.Workload, s.Cell, s.Identity)
	}
}

func (d *dump) table(i int) {
	t := &d.p.Tables.Tables[i]
	d.line(0, "table %d %s %s of %s", i, t.Direction, t.Key, t.Lineage)
	members := make([][]string, len(t.Classes))
	for _, m := range t.Members {
		members[m.Class] = append(members[m.Class], fmt.Sprint(m.Identity))
	}
	for c, class := range t.Classes {
		kind := "identities"
		if class.Names {
			kind = "learned names"
		}
		d.line(1, "class %d %s: %s %s", c, class.Key, kind, strings.Join(members[c], " "))
		for _, e := range t.Entries {
			if e.Class == c {
				d.line(2, "%s %s", entryL4(e), d.verdict(e.Verdict))
			}
		}
	}
	if t.Names != nil {
		d.names(t.Names)
	}
}

func (d *dump) names(n *program.Names) {
	for i, p := range n.Peers {
		d.line(1, "name peer %d %s: %s", i, p.Key, domain(&p.Domain))
	}
	for _, s := range n.Sets {
		d.line(1, "name set %v class %d", s.Peers, s.Class)
	}
	for _, q := range n.Questions {
		what := domain(&q.Domain)
		if q.Any {
			what = "any name"
		}
		types := "any type"
		if len(q.Types) > 0 {
			types = "types " + typeNames(q.Types)
		}
		d.line(1, "question to %s for %s, %s: %s", ranges(q.Servers), what, types, d.verdict(q.Verdict))
	}
}

func (d *dump) profile(i int) {
	p := &d.p.Tables.Profiles[i]
	text := fmt.Sprintf("profile %s %s port %d", p.Key, p.Kind, p.Port)
	text += looped(p.Looped)
	if p.Local {
		text += " local"
	}
	d.line(0, "%s", text)
	for _, r := range d.p.Tables.ProfileRows {
		if r.Profile == i {
			d.line(1, "for egress %s, ingress %s, port %d%s",
				d.half(r.Egress, r.EgressClass, r.NameClass), d.half(r.Ingress, r.IngressClass, -1), r.Port, looped(r.Looped))
		}
	}
	for _, h := range []struct {
		dir  program.Direction
		half *program.Half
	}{{program.Egress, p.Egress}, {program.Ingress, p.Ingress}} {
		if h.half == nil {
			continue
		}
		for _, tier := range h.half.Tiers {
			d.line(1, "%s, else %s %s", h.dir, tier.Default, d.source(tier.DefaultRule))
			for _, r := range tier.Deny {
				d.line(2, "deny %s: %s", d.source(r.Rule), requests(r))
			}
			for _, r := range tier.Allow {
				d.line(2, "allow %s: %s", d.source(r.Rule), requests(r))
			}
		}
	}
}

// half names the classes of a table by which a flow comes to a profile.
func (d *dump) half(table, class, names int) string {
	text := d.tableName(table)
	if table >= 0 {
		text += fmt.Sprintf(" class %d", class)
	}
	if names >= 0 {
		text += fmt.Sprintf(" with names class %d", names)
	}
	return text
}

func looped(yes bool) string {
	if yes {
		return " looped"
	}
	return ""
}

// verdict writes what decides a merge too: rank and order.
func (d *dump) verdict(v program.Verdict) string {
	text := program.Deny.String()
	if v.Allow {
		text = program.Allow.String()
	}
	if v.L7 != program.L7None {
		text += " " + v.L7.String()
	}
	if v.Reject {
		text += " reject"
	}
	if v.Log {
		text += " log"
	}
	return fmt.Sprintf("%s by %s rank %d order %d", text, d.source(v.Rule), v.Rank, v.Order)
}
