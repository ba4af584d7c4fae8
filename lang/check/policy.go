// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// policy resolves one policy; what is wrong in it is reported and left out.
func (c *checker) policy(d *lang.Policy) *Policy {
	p := &Policy{
		Name: c.pkg + "." + d.Name.Value, Doc: strings.Join(d.Doc, "\n"), Annotations: c.annotations(d.Annotations),
		Tier: appTier, Span: d.Span(), NameSpan: lang.SpanOf(d.Name),
	}
	if d.Subject != nil {
		p.Subject, p.SubjectText = c.subject(d.Subject), d.Subject.Text()
	}
	labels := map[string]diag.Span{}
	var words [2]*lang.Block
	for _, b := range d.Blocks {
		dir := direction(b.Word.Value)
		if first := words[dir]; first != nil {
			c.errorAt(diag.DuplicateName, lang.SpanOf(b.Word), fmt.Sprintf("policy `%s` has two %s blocks", d.Name.Value, dir), "write all rules into one",
				diag.Related{Span: lang.SpanOf(first.Word), Summary: "the first"})
		} else {
			words[dir] = b
		}
		block := &Block{Rules: []*Rule{}, Span: lang.SpanOf(b.Word)}
		for _, r := range b.Rules {
			c.uniqueLabel(r, labels)
			if rule := c.rule(r, dir, d); rule != nil {
				block.Rules = append(block.Rules, rule)
			}
		}
		if dir == program.Ingress {
			p.Ingress = block
		} else {
			p.Egress = block
		}
	}
	return p
}

func direction(word string) program.Direction {
	if word == "ingress" {
		return program.Ingress
	}
	return program.Egress
}

func (c *checker) subject(s *lang.Subject) program.Subject {
	switch {
	case s.All:
		return program.Subject{All: true}
	case s.Selector != nil:
		sel, _ := c.selector(s.Selector)
		return program.Subject{Selector: sel}
	case s.Name != nil:
		if sym := c.use(c.sets, *s.Name, "workload"); sym != nil {
			return program.Subject{Selector: sym.selector}
		}
	}
	return program.Subject{}
}

func (c *checker) uniqueLabel(r *lang.Rule, labels map[string]diag.Span) {
	if r.Label == nil {
		return
	}
	name := lang.Text(*r.Label)
	if first, ok := labels[name]; ok {
		c.errorAt(diag.DuplicateName, lang.SpanOf(*r.Label), fmt.Sprintf("two rules of the policy are named `%s`", name), "choose another name",
			diag.Related{Span: first, Summary: "the first"})
		return
	}
	labels[name] = lang.SpanOf(*r.Label)
}

// rule resolves one rule, nil when it could not be read.
func (c *checker) rule(r *lang.Rule, dir program.Direction, p *lang.Policy) *Rule {
	values := c.annotations(r.Annotations)
	if r.Broken || r.Peers == nil {
		return nil
	}
	out := &Rule{
		Doc: strings.Join(r.Doc, "\n"), Annotations: values, Action: action(r.Action.Value),
		PeersText: r.Peers.Text(), L4Text: r.L4.Text(), Log: r.Log, Reject: r.Reject != nil,
		Span: r.Span(), PlaceSpan: lang.SpanOf(r.Action), PeersSpan: r.Peers.Span(), L4Span: r.L4.Span(),
	}
	if r.Label != nil {
		out.Label, out.PlaceSpan = lang.Text(*r.Label), lang.SpanOf(*r.Label)
	}
	annotations := slices.Concat(p.Annotations, r.Annotations)
	var good bool
	out.Peers, good = c.peers(r.Peers, annotations)
	before := len(c.diags)
	out.L4 = c.l4List(r.L4.Items)
	goodL4 := len(out.L4) > 0 && len(c.diags) == before
	out.L7 = c.l7(r, annotations)
	c.towards(r, dir)
	if out.Reject && out.Action == program.Allow {
		c.errorAt(diag.RejectAllow, lang.SpanOf(*r.Reject), "an allow has nothing to reject", "remove reject")
	}
	if good {
		out.WholeIPv4, out.WholeIPv6 = c.whole(out.Peers)
		c.families(r, out)
		c.domainPeers(r, out, dir)
	}
	if goodL4 && out.L7 != nil {
		c.l7Protocol(r, out, dir)
	}
	return out
}

// towards checks that from stands in ingress and to in egress.
func (c *checker) towards(r *lang.Rule, dir program.Direction) {
	want := "to"
	if dir == program.Ingress {
		want = "from"
	}
	if r.Direction.Value != want {
		c.errorAt(diag.WrongDirection, lang.SpanOf(r.Direction), fmt.Sprintf("`%s` stands in an %s block", r.Direction.Value, dir), "write "+want)
	}
}

// families warns of a /0 whose other family is not covered.
func (c *checker) families(r *lang.Rule, out *Rule) {
	if out.WholeIPv4 == out.WholeIPv6 {
		return
	}
	for _, p := range r.Peers.Include {
		if p.Item != nil && lang.IsAddress(*p.Item) && strings.HasSuffix(p.Item.Value, "/0") {
			other := "::/0"
			if out.WholeIPv6 {
				other = "0.0.0.0/0"
			}
			c.warnAt(diag.OneFamily, p.Span(), fmt.Sprintf("%s is one family alone", p.Item.Value), "add "+other+", or write world")
		}
	}
}

// domainPeers checks where a domain may stand.
func (c *checker) domainPeers(r *lang.Rule, out *Rule, dir program.Direction) {
	if !slices.ContainsFunc(out.Peers.Include, func(p program.Peer) bool { return p.Kind == program.PeerDomain }) {
		return
	}
	switch {
	case dir == program.Ingress:
		c.errorAt(diag.DomainIngress, out.PeersSpan, "a domain is a peer in egress only", "name addresses or workloads")
	case out.Action == program.Deny && (!onlyAny(out.L4) || out.L7 != nil):
		c.errorAt(diag.DomainDeny, out.L4Span, "a deny to a domain refuses the question and takes only `on any`", "write on any")
	}
}

func onlyAny(l4 []program.L4) bool { return len(l4) == 1 && l4[0].Any }
