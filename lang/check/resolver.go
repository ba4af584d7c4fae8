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

// nodeResolver is the one that exists without a declaration.
func nodeResolver() program.Resolver { return program.Resolver{Name: "node", Node: true} }

// resolver resolves a declaration, nil when something in it is wrong.
func (c *checker) resolver(d *lang.Resolver) *Resolver {
	out := &Resolver{
		Package: c.at.pkg.name, Doc: strings.Join(d.Doc, "\n"), Annotations: resolved(d.Annotations),
		PeersText: d.Item.Value, Patterns: []Pattern{}, Span: d.Span(),
	}
	out.Server.Name = c.at.pkg.name + "." + d.Name.Value
	ok := true
	switch t := d.Item; {
	case t.Value == "host":
		out.Server.Peers.Include = []program.Peer{{Kind: program.PeerHost}}
	case lang.IsAddress(t):
		p, err := lang.ParsePrefix(t.Value)
		ok = err == nil
		out.Server.Peers.Include = []program.Peer{{Kind: program.PeerPrefix, Prefix: p}}
	default:
		r := refOf(t, d.Member)
		out.PeersText = r.text()
		sym := c.use(sets, r, "workload")
		if ok = sym != nil; ok {
			out.Server.Peers.Include = []program.Peer{{Kind: program.PeerSelector, Selector: sym.selector}}
		}
	}
	before := len(c.diags)
	out.Server.L4 = c.l4List(d.L4.Items)
	if len(c.diags) == before {
		c.questionsProtocol(out.Server.L4, d.L4.Span())
	}
	for _, t := range lang.Items(d.For) {
		p, good := c.pattern(t, d.Annotations)
		ok = ok && good
		out.Server.For = append(out.Server.For, p)
		out.Patterns = append(out.Patterns, c.patternUse(p, "for", lang.SpanOf(t)))
	}
	out.Server.For = sortedPatterns(out.Server.For)
	if !ok || len(c.diags) > before {
		return nil
	}
	return out
}

// questionsProtocol checks that questions can be asked over every one of some protocols.
func (c *checker) questionsProtocol(l4 []program.L4, span diag.Span) {
	for _, l := range l4 {
		if l.Any || l.Proto != program.ProtoUDP && l.Proto != program.ProtoTCP {
			c.errorAt(diag.L7Protocol, span, "questions are asked over udp and tcp only", "write udp/53, tcp/53")
			return
		}
	}
}

// resolversOf returns the resolvers that a block names, none when it names none, and whether all are
// known.
func (c *checker) resolversOf(b *lang.Block, dir program.Direction) (out []program.Resolver, span diag.Span, ok bool) {
	ok = true
	for i, r := range b.Resolves {
		switch {
		case dir == program.Ingress:
			c.errorAt(diag.ResolveBlock, r.Span(), "`resolve via` stands in an ingress block, where no name is a peer", "move it to the egress block")
			return nil, r.Span(), false
		case i > 0:
			c.errorAt(diag.DuplicateName, r.Span(), "the block says `resolve via` twice", "write all resolvers into one",
				diag.Related{Span: b.Resolves[0].Span(), Summary: "the first"})
			return out, span, false
		}
		span = r.Span()
		for _, n := range lang.Split(r.Names) {
			found, good := c.resolverNamed(n)
			ok = ok && good
			if !good {
				continue
			}
			if slices.ContainsFunc(out, func(o program.Resolver) bool { return o.Name == found.Name }) {
				c.errorAt(diag.DuplicateName, n.Span(), fmt.Sprintf("resolver `%s` is named twice", n.Text()), "remove one")
				continue
			}
			out = append(out, found)
		}
	}
	return out, span, ok
}

func (c *checker) resolverNamed(n lang.Node) (program.Resolver, bool) {
	if n.Tokens[0].Value == "node" {
		return nodeResolver(), true
	}
	sym := c.use(resolvers, refNode(n), "resolver")
	if sym == nil {
		return program.Resolver{}, false
	}
	return sym.server, true
}

// cut reports the domain peers of a rule for no name of which any of its resolvers is believed.
func (c *checker) cut(ps *peerList, resolvers []program.Resolver) {
	if slices.ContainsFunc(resolvers, func(r program.Resolver) bool { return len(r.For) == 0 }) {
		return
	}
	for i, peers := range ps.each {
		if slices.ContainsFunc(peers, func(p program.Peer) bool {
			return p.Kind == program.PeerDomain && !slices.ContainsFunc(resolvers, func(r program.Resolver) bool { return believed(p.Domain, r) })
		}) {
			t := ps.terms[i]
			c.errorAt(diag.ResolverCut, t.Span, fmt.Sprintf("no resolver of this block is believed for a name of %s", t.Text),
				"widen the `for` of a resolver, or name another one in resolve via")
		}
	}
}

// believed reports whether r may be believed for some name of d.
func believed(d *program.Domain, r program.Resolver) bool {
	return slices.ContainsFunc(d.Patterns, func(p program.NamePattern) bool {
		return !slices.Contains(d.Except, p) && slices.ContainsFunc(r.For, func(q program.NamePattern) bool { return p.Meets(q) })
	})
}
