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
		Name: c.at.pkg.name + "." + d.Name.Value, Package: c.at.pkg.name,
		Doc: strings.Join(d.Doc, "\n"), Annotations: c.annotations(d.Annotations),
		Span: d.Span(), NameSpan: lang.SpanOf(d.Name),
	}
	if d.Subject != nil {
		p.Subject, p.SubjectText = c.subject(d.Subject), d.Subject.Text()
	}
	if d.Audit != nil {
		p.Audit, p.AuditSpan = true, lang.SpanOf(*d.Audit)
	}
	in := &ruleContext{policy: p, decl: d, labels: map[string]*lang.Token{}}
	p.Tier, in.tierKnown = c.tierOf(d)
	var words [2]*lang.Block
	for _, b := range d.Blocks {
		dir := direction(b.Word.Value)
		if first := words[dir]; first != nil {
			c.errorAt(diag.DuplicateName, lang.SpanOf(b.Word), fmt.Sprintf("policy `%s` has two %s blocks", d.Name.Value, dir), "write all rules into one",
				diag.Related{Span: lang.SpanOf(first.Word), Summary: "the first"})
		} else {
			words[dir] = b
		}
		in.dir = dir
		block := c.block(b, in)
		if dir == program.Ingress {
			p.Ingress = block
		} else {
			p.Egress = block
		}
	}
	s := p.Subject
	p.known = in.tierKnown && (s.All || s.Host || s.Selector != nil)
	for dir, b := range [2]*Block{program.Egress: p.Egress, program.Ingress: p.Ingress} {
		p.governs[dir] = c.governs(p, b)
		p.may[dir] = p.governs[dir] || d.Broken || b != nil && !b.sound
	}
	return p
}

// ruleContext is where a rule stands.
type ruleContext struct {
	policy    *Policy
	decl      *lang.Policy
	dir       program.Direction
	tierKnown bool
	labels    map[string]*lang.Token // where each stands
	// resolvers answer for the domain peers of the block; they are not known when one could not be read.
	resolvers      []program.Resolver
	resolversKnown bool
}

func (c *checker) block(b *lang.Block, in *ruleContext) *Block {
	out := &Block{Rules: []*Rule{}, Span: lang.SpanOf(b.Word)}
	out.Resolvers, out.ResolversSpan, in.resolversKnown = c.resolversOf(b, in.dir)
	in.resolvers = out.Resolvers
	if len(b.Resolves) == 0 {
		in.resolvers = []program.Resolver{nodeResolver()}
	}
	switch {
	case b.None && in.tierKnown && c.tiers[in.policy.Tier].Default == program.Pass:
		c.errorAt(diag.NoneTier, b.Span(), fmt.Sprintf("%s none says nothing in the tier `%s`, whose default is pass", in.dir, c.tiers[in.policy.Tier].Name),
			fmt.Sprintf("remove it, or write a deny: %s { deny %s any on any }", in.dir, towardsWord(in.dir)))
	case in.dir == program.Egress && len(b.Resolves) > 0 && len(b.Rules) == 0:
		c.errorAt(diag.Empty, out.Span, "the block has no rule", "write "+b.Word.Value+" none")
	}
	out.sound = !in.decl.Broken
	for _, r := range b.Rules {
		c.uniqueLabel(r, in.labels)
		rule := c.rule(r, in)
		out.sound = out.sound && rule != nil && rule.sound
		if rule != nil {
			out.Rules = append(out.Rules, rule)
		}
	}
	return out
}

func towardsWord(dir program.Direction) string {
	if dir == program.Ingress {
		return "from"
	}
	return "to"
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
	case s.Host:
		return program.Subject{Host: true}
	case s.Selector != nil:
		sel, _ := c.selector(s.Selector)
		return program.Subject{Selector: sel}
	case s.Name != nil:
		if sym := c.use(sets, refOf(*s.Name, s.Member), "workload"); sym != nil {
			return program.Subject{Selector: sym.selector}
		}
	}
	return program.Subject{}
}

func (c *checker) uniqueLabel(r *lang.Rule, labels map[string]*lang.Token) {
	if r.Label == nil {
		return
	}
	name := lang.Text(*r.Label)
	if first, ok := labels[name]; ok {
		c.errorAt(diag.DuplicateName, lang.SpanOf(*r.Label), fmt.Sprintf("two rules of the policy are named `%s`", name), "choose another name",
			diag.Related{Span: lang.SpanOf(*first), Summary: "the first"})
		return
	}
	labels[name] = r.Label
}

// rule resolves one rule, nil when it could not be read.
func (c *checker) rule(r *lang.Rule, in *ruleContext) *Rule {
	first := len(c.diags)
	values := c.annotations(r.Annotations)
	if r.Broken || r.Peers == nil {
		return nil
	}
	out := &Rule{
		Doc: strings.Join(r.Doc, "\n"), Annotations: values, Action: action(r.Action.Value),
		PeersText: r.Peers.Text(), L4Text: r.L4.Text(), Log: r.Log, Reject: r.Reject != nil, Audit: r.Audit != nil,
		Span: r.Span(), PlaceSpan: lang.SpanOf(r.Action), PeersSpan: r.Peers.Span(), L4Span: r.L4.Span(),
	}
	if r.Label != nil {
		out.Label, out.PlaceSpan = lang.Text(*r.Label), lang.SpanOf(*r.Label)
	}
	annotations := slices.Concat(in.decl.Annotations, r.Annotations)
	peers, good := c.peers(r.Peers, annotations)
	out.Peers, out.Terms, out.Patterns = peers.Peers, peers.terms, peers.patterns
	before := len(c.diags)
	out.L4 = c.l4List(r.L4.Items)
	goodL4 := len(out.L4) > 0 && len(c.diags) == before
	part := l7Part{http: r.HTTP, grpc: r.GRPC, dns: r.DNS, tls: r.TLS, annotations: annotations}
	out.L7, out.L7Span = c.l7(part, &out.Patterns), part.span()
	c.towards(r, in.dir)
	c.actionOf(r, out, in)
	if good {
		c.same(r.Peers, in.policy.Subject)
		out.WholeIPv4, out.WholeIPv6 = c.whole(out.Peers)
		c.domainPeers(r, out, in)
		if out.Action == program.Allow && hasDomain(out.Peers) && in.dir == program.Egress {
			out.Resolvers = in.resolvers
			if in.resolversKnown {
				c.cut(peers, in.resolvers)
			}
		}
		c.pinned(out)
	}
	if goodL4 && out.L7 != nil && (out.Action != program.Deny || !hasDomain(out.Peers)) {
		c.l7Protocol(out.L7, out.L4, out.L4Span, in.dir)
	}
	out.sound = good && goodL4 && !c.diags[first:].HasErrors() && speaks(out.L7)
	return out
}

// speaks reports whether an L7 part, if there is one, speaks of anything, as it does without a mistake.
func speaks(l *program.L7) bool {
	return l == nil || l.Pinned || len(l.HTTP)+len(l.GRPC)+len(l.SNI)+len(l.SNISets)+len(l.DNS) > 0
}

// actionOf checks what a rule's action goes with.
func (c *checker) actionOf(r *lang.Rule, out *Rule, in *ruleContext) {
	if out.Reject && out.Action != program.Deny {
		c.errorAt(diag.RejectAllow, lang.SpanOf(*r.Reject), fmt.Sprintf("%s %s has nothing to reject", article(out.Action), out.Action), "remove reject")
	}
	if out.Action != program.Pass {
		return
	}
	if out.L7 != nil {
		c.errorAt(diag.PassL7, out.L7Span, "a pass takes no L7 part", "pass the whole flow, or allow or deny some requests")
	}
	if t := c.tiers[in.policy.Tier]; in.tierKnown && t.Default == program.Pass {
		c.errorAt(diag.PassTier, lang.SpanOf(r.Action), fmt.Sprintf("the tier `%s` passes what no rule of it matches: this rule does nothing", t.Name), passHelp(r, in.dir))
	}
}

func article(a program.Action) string {
	if a == program.Allow {
		return "an"
	}
	return "a"
}

// passHelp shows the deny that leaves what a pass names to the next tier.
func passHelp(r *lang.Rule, dir program.Direction) string {
	if len(r.Peers.Except) > 0 {
		return "deny what the next tier must not be asked about"
	}
	return fmt.Sprintf("deny the others instead: deny %s any except %s on %s", towardsWord(dir), r.Peers.Text(), r.L4.Text())
}

// same reports peers with the subject's value of a label where the subject has no labels.
func (c *checker) same(n *lang.Peers, s program.Subject) {
	for _, p := range slices.Concat(n.Include, n.Except) {
		if p.Same != nil && s.Host {
			c.errorAt(diag.SameSubject, p.Span(), "the subject is the host, which has no labels", "name the workloads")
		}
	}
}

// pinned checks that tls pinned has domain peers alone.
func (c *checker) pinned(out *Rule) {
	if out.L7 == nil || !out.L7.Pinned || len(out.Peers.Include) == 0 {
		return
	}
	for _, p := range out.Peers.Include {
		if p.Kind != program.PeerDomain {
			c.errorAt(diag.PinnedPeer, out.L7Span, "`tls pinned` compares with the name that gave the address, and a peer of this rule has none",
				"name domains alone, or write tls { sni \"...\" }")
			return
		}
	}
}

// towards checks that from stands in ingress and to in egress.
func (c *checker) towards(r *lang.Rule, dir program.Direction) {
	if want := towardsWord(dir); r.Direction.Value != want {
		c.errorAt(diag.WrongDirection, lang.SpanOf(r.Direction), fmt.Sprintf("`%s` stands in an %s block", r.Direction.Value, dir), "write "+want)
	}
}

// domainPeers checks where a domain may stand.
func (c *checker) domainPeers(r *lang.Rule, out *Rule, in *ruleContext) {
	if !hasDomain(out.Peers) {
		return
	}
	opens := slices.ContainsFunc(r.Peers.Include, func(p *lang.Peer) bool { return len(p.Private)+len(p.Aliases) > 0 })
	switch {
	case in.dir == program.Ingress:
		c.errorAt(diag.DomainIngress, out.PeersSpan, "a domain is a peer in egress only", "name addresses or workloads")
	case out.Action == program.Pass:
		c.errorAt(diag.PassDomain, out.PeersSpan, "a pass takes no domain peer", "pass addresses, or allow the domain here")
	case out.Action == program.Deny && out.L7 != nil:
		c.errorAt(diag.DomainDeny, out.L7Span, "a deny to a domain refuses the question and takes no L7 part", "remove it, and write on any")
	case out.Action == program.Deny && !onlyAny(out.L4):
		c.errorAt(diag.DomainDeny, out.L4Span, "a deny to a domain refuses the question and takes only `on any`", "write on any")
	case out.Action == program.Deny && opens:
		c.errorAt(diag.PrivatePeer, out.PeersSpan, "a deny to a domain refuses the question and opens nothing", "remove private and via cname")
	case out.L7 != nil && out.L7.Kind == program.L7DNS:
		c.errorAt(diag.DNSDomain, out.PeersSpan, "who is known by a name alone is asked no questions: a `dns` part takes no domain peer",
			"name the addresses of the resolver, or the one that you declared")
	}
}

func hasDomain(p program.Peers) bool { return has(p, program.PeerDomain) }

func onlyAny(l4 []program.L4) bool { return len(l4) == 1 && l4[0].Any }
