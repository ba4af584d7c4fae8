// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes p for reading: the rules with their numbers, then what they were lowered to, a
// line a row, in columns. Equal programs have equal texts; it leaves nothing out that is enforced.
func (p *Program) WriteText(w io.Writer) error {
	d := &dump{p: p, w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), sources: map[string]Source{}}
	for _, s := range p.Rules.Sources {
		d.sources[s.Key] = *s
	}
	d.rules()
	d.space()
	d.subjects()
	for i := range p.Tables.Tables {
		d.table(i)
	}
	d.profiles()
	if err := d.w.Flush(); err != nil {
		return fmt.Errorf("write program: %w", err)
	}
	return nil
}

// dump writes sections of rows; the first error is that of the final flush.
type dump struct {
	p       *Program
	w       *tabwriter.Writer
	sources map[string]Source // by key
}

// section starts a section: columns line up within one.
func (d *dump) section(format string, args ...any) {
	fmt.Fprintf(d.w, "\n"+format+"\n", args...)
	d.w.Flush()
}

// row writes one row of cells.
func (d *dump) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(d.w, "\t")
		}
		fmt.Fprint(d.w, c)
	}
	fmt.Fprintln(d.w)
}

func (d *dump) rules() {
	r := &d.p.Rules
	fmt.Fprintf(d.w, "default %s\n", r.Default)
	for _, t := range r.Tiers {
		fmt.Fprintf(d.w, "tier %s order %d default %s\n", t.Name, t.Order, t.Default)
	}
	text := make(map[RuleID]string)
	for _, p := range r.Policies {
		for _, dir := range []Direction{Egress, Ingress} {
			if b := p.Block(dir); b != nil {
				for j := range b.Rules {
					text[b.Rules[j].ID] = b.Rules[j].text(dir)
				}
			}
		}
	}
	d.section("rules")
	for i, s := range r.Sources {
		switch id := RuleID(i); {
		case i == 0:
		case text[id] == "":
			d.row("  "+fmt.Sprint(i), s.Name, s)
		default:
			d.row("  "+fmt.Sprint(i), s.Name, s, text[id])
		}
	}
}

// text returns r as the language writes it.
func (r *Rule) text(d Direction) string {
	word := "to"
	if d == Ingress {
		word = "from"
	}
	text := fmt.Sprintf("%s %s %s on %s", r.Action, word, r.Peers, joinL4(r.L4))
	if r.Audit {
		text = "audit " + text
	}
	if r.L7 != nil {
		text += " " + r.L7.String()
	}
	for _, flag := range []struct {
		on   bool
		word string
	}{{r.Reject, " reject"}, {r.Log, " log"}} {
		if flag.on {
			text += flag.word
		}
	}
	if len(r.Resolvers) > 0 {
		names := make([]string, len(r.Resolvers))
		for i := range r.Resolvers {
			names[i] = r.Resolvers[i].Name
		}
		text += " (resolvers " + strings.Join(names, ", ") + ")"
	}
	return text
}

func joinL4(ls []L4) string {
	texts := make([]string, len(ls))
	for i, l := range ls {
		texts[i] = l.String()
	}
	return strings.Join(texts, ", ")
}

func (d *dump) space() {
	t := &d.p.Tables
	d.section("identities")
	for i, id := range t.Identities {
		d.row("  "+fmt.Sprint(i), id.Key)
	}
	d.section("addresses")
	for _, a := range t.Addresses {
		flags := ""
		for _, flag := range []struct {
			on   bool
			word string
		}{{a.Owned, " owned"}, {a.Node, " node"}, {a.Workload != "", " of " + a.Workload}} {
			if flag.on {
				flags += flag.word
			}
		}
		d.row("  "+a.Prefix.String(), "identity "+fmt.Sprint(a.Identity), fmt.Sprintf("cell %d%s", a.Cell, flags))
	}
	if len(t.Sockets) > 0 {
		d.section("host workloads")
	}
	for _, s := range t.Sockets {
		d.row("  "+s.Workload, fmt.Sprintf("cell %d", s.Cell), fmt.Sprintf("identity %d", s.Identity))
	}
}

func (d *dump) subjects() {
	d.section("subjects")
	lineage := func(i int) string {
		if i < 0 {
			return "ungoverned"
		}
		return d.p.Tables.Tables[i].Lineage
	}
	for _, s := range d.p.Tables.Subjects {
		where := "interface " + s.Interface
		if s.Interface == "" {
			where = "cgroup " + s.Cgroup
		}
		d.row("  "+s.Workload, where, lineage(s.Egress), lineage(s.Ingress))
	}
	if h := d.p.Tables.Host; h != nil {
		d.row("  host", "", lineage(h.Egress), lineage(h.Ingress))
	}
	d.row("  ungoverned", d.verdict(d.p.Tables.Ungoverned))
}

// verdict shows what a table says, with the rule that says it.
func (d *dump) verdict(v Verdict) string {
	text := Deny.String()
	if v.Allow {
		text = Allow.String()
	}
	if v.L7 != L7None {
		text += " " + v.L7.String()
	}
	if v.Reject {
		text += " reject"
	}
	if v.Log {
		text += " log"
	}
	s := d.sources[v.Rule]
	return fmt.Sprintf("%s\trank %d.%d\tby %s\t%s", text, v.Rank, v.Order, s.Name, s)
}

func (d *dump) table(i int) {
	t := &d.p.Tables.Tables[i]
	d.section("table %d: %s\n  key %s", i, t.Lineage, t.Key)
	for j, c := range t.Classes {
		fmt.Fprintf(d.w, "  class %d: %s (%s)\n", j, c.Key, t.membersText(j))
		d.w.Flush()
		for _, e := range c.Entries {
			d.row("    "+entryText(e), d.verdict(e.Verdict))
		}
		d.w.Flush()
	}
	if t.Names != nil {
		d.names(t.Names)
	}
	if t.Questions != nil {
		d.questions(t)
	}
}

// membersText says who is of a class.
func (t *Table) membersText(class int) string {
	switch {
	case t.Classes[class].Names:
		return "learned addresses"
	case class == 0:
		return "every other identity"
	}
	text := "identities"
	for _, m := range t.Members {
		if m.Class == class {
			text += fmt.Sprintf(" %d", m.Identity)
		}
	}
	return text
}

func entryText(e Entry) string {
	if e.Proto == 0 {
		return L4{Any: true}.String()
	}
	return L4{Proto: e.Proto, First: e.First, Last: e.Last}.String()
}

func (d *dump) names(n *Names) {
	d.section("  names")
	for i, p := range n.Peers {
		servers := make([]string, len(p.Servers))
		for j := range p.Servers {
			servers[j] = p.Servers[j].String()
		}
		d.row(fmt.Sprintf("    peer %d", i), p.Key, "by answers of "+strings.Join(servers, "; "))
	}
	for _, s := range n.Sets {
		d.row(fmt.Sprintf("    set %v", s.Peers), fmt.Sprintf("class %d", s.Class))
	}
}

func (d *dump) questions(t *Table) {
	by := "of "
	if t.Direction == Ingress {
		by = "by "
	}
	d.section("  questions")
	for _, q := range t.Questions {
		name := "any name"
		if !q.Any {
			name = q.Domain.String()
		}
		types := "any type"
		if len(q.Types) > 0 {
			types = fmt.Sprintf("types %v", q.Types)
		}
		others := by + q.NameServer.String()
		if len(q.L4) > 0 {
			others += " on " + joinL4(q.L4)
		}
		d.row("    "+name, types, others, d.verdict(q.Verdict))
	}
}

// String returns s as a dump shows it.
func (s NameServer) String() string {
	text := "everybody"
	if len(s.Classes) > 0 {
		text = "class " + strings.Trim(fmt.Sprint(s.Classes), "[]")
	}
	if len(s.For) > 0 {
		text += " for " + joinPatterns(s.For)
	}
	return text
}

func (d *dump) profiles() {
	t := &d.p.Tables
	for i := range t.Profiles {
		p := &t.Profiles[i]
		d.section("profile %d: %s", i, p.Key)
		for _, h := range []struct {
			name string
			half *Half
		}{{"egress", p.Egress}, {"ingress", p.Ingress}} {
			if h.half != nil {
				d.half(h.name, h.half)
			}
		}
	}
	if len(t.ProfileRows) > 0 {
		d.section("profile rows")
		d.row("  egress", "class", "names", "ingress", "class", "port", "way", "profile")
	}
	for _, r := range t.ProfileRows {
		way := "device"
		if r.Looped {
			way = "looped"
		}
		d.row(fmt.Sprintf("  %d", r.Egress), r.EgressClass, r.NameClass, r.Ingress, r.IngressClass, r.Port, way, r.Profile)
	}
}

func (d *dump) half(name string, h *Half) {
	for i, t := range h.Tiers {
		line := func(a Action, r RequestRule) {
			what := "every request"
			if !r.Every {
				what = (&L7{Kind: kindOf(r), HTTP: r.HTTP, GRPC: r.GRPC, SNI: r.SNI, SNISets: r.SNISets}).String()
			}
			if r.Names != nil {
				what += " for " + r.Names.String()
			}
			s := d.sources[r.Rule]
			d.row(fmt.Sprintf("  %s tier %d", name, i), a, what, "by "+s.Name, s)
		}
		for _, r := range t.Deny {
			line(Deny, r)
		}
		for _, r := range t.Allow {
			line(Allow, r)
		}
		s := d.sources[t.DefaultRule]
		d.row(fmt.Sprintf("  %s tier %d", name, i), t.Default, "else", "by "+s.Name, s)
	}
}

func kindOf(r RequestRule) L7Kind {
	if len(r.SNI)+len(r.SNISets) > 0 {
		return L7TLS
	}
	return L7HTTP
}
