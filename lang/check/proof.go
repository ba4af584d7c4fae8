// SPDX-License-Identifier: Apache-2.0

package check

import (
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// proof resolves one prove block; nothing is decided.
func (c *checker) proof(d *lang.Prove) *Proof {
	p := &Proof{Name: lang.Text(d.Name), Package: c.at.pkg.name, Doc: strings.Join(d.Doc, "\n"), Claims: []Claim{}, Span: d.Span()}
	if !d.Broken && len(d.Claims) == 0 {
		c.errorAt(diag.Empty, lang.SpanOf(d.Name), "the proof claims nothing", "write a line such as never from world to host on any")
	}
	for _, n := range d.Claims {
		p.Claims = append(p.Claims, c.claim(n, d.Annotations))
	}
	return p
}

func (c *checker) claim(n *lang.Claim, annotations []*lang.Annotation) Claim {
	out := Claim{Never: n.Word.Value == "never", FromText: n.From.Text(), ToText: n.To.Text(), Span: n.Span()}
	from, ok := c.peers(n.From, annotations)
	if ok && hasDomain(from.Peers) {
		c.errorAt(diag.DomainIngress, n.From.Span(), "no flow is opened by a domain", "name addresses or workloads")
	}
	to, _ := c.peers(n.To, annotations)
	out.From, out.To = from.Peers, to.Peers
	for _, p := range slices.Concat(n.From.Include, n.From.Except, n.To.Include, n.To.Except) {
		if p.Same != nil {
			c.errorAt(diag.SameSubject, p.Span(), "a proof has no subject whose label could be the same", "name the workloads")
		}
	}
	before := len(c.diags)
	out.L4 = c.l4List(n.L4.Items)
	good := len(out.L4) > 0 && len(c.diags) == before
	var uses []Pattern
	out.L7 = c.l7(l7Part{http: n.HTTP, grpc: n.GRPC, dns: n.DNS, tls: n.TLS, annotations: annotations}, &uses)
	if out.L7 != nil && out.L7.Pinned {
		c.errorAt(diag.PinnedPeer, n.TLS.Span(), "a proof has no rule whose names could be pinned", `write tls { sni "..." }`)
	}
	if good && out.L7 != nil {
		c.l7Protocol(out.L7, out.L4, n.L4.Span(), program.Ingress)
	}
	return out
}
