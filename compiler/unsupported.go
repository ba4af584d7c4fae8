// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// checkSupported refuses what the language has and no node enforces yet, so that nothing is ever
// checked and then ignored. A feature goes from here in the commit that enforces it.
func (c *compilation) checkSupported() {
	for _, p := range c.module.Policies {
		if p.Audit {
			continue // it decides nothing
		}
		if p.Subject.Host {
			c.notSupported(p.NameSpan, "a policy `for host`")
		}
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			if slices.ContainsFunc(b.Resolvers, func(r program.Resolver) bool { return !r.Node }) {
				c.notSupported(b.ResolversSpan, "`resolve via` another resolver than `node`")
			}
		}
	}
}

func (c *compilation) notSupported(span diag.Span, what string) {
	c.diags.Add(diag.Diagnostic{Code: diag.NotSupported, Span: span, Summary: fmt.Sprintf("%s is not supported yet on a node", what)})
}
