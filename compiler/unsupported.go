// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"fmt"

	"mpol/lang/diag"
)

// checkSupported refuses what the language has and no node enforces yet, so that nothing is ever
// checked and then ignored. A feature goes from here in the commit that enforces it.
func (p *policy) checkSupported() {
	if p.Audit {
		return // it decides nothing
	}
	if p.Subject.Host {
		p.notSupported(p.NameSpan, "a policy `for host`")
	}
}

func (p *policy) notSupported(span diag.Span, what string) {
	p.diags.Add(diag.Diagnostic{Code: diag.NotSupported, Span: span, Summary: fmt.Sprintf("%s is not supported yet on a node", what)})
}
