// SPDX-License-Identifier: Apache-2.0

// Package enforceable says what of the language no enforcer of a node keeps to yet.
//
// The compiler lowers the whole language. What the datapath or a proxy cannot do is refused here, at
// its place in the files and before a program reaches them, so that nothing is checked and then
// ignored. It judges no mistake: the checker has found those.
//
//	list := enforceable.Check(module)
//	if list.HasErrors() { ... } // not-supported, at the rule
//
// Invariants: it refuses no policy that decides nothing (audit); an enforcer that is handed what it
// does not know denies by itself, so that this package is only the earlier and the better word; a
// feature goes from here in the commit that enforces it.
package enforceable

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Check returns an error for each rule that a node could not keep to, in the order of the module.
func Check(m *check.Module) diag.List {
	var list diag.List
	for _, p := range m.Policies {
		if p.Subject.Host && decides(p) {
			refuse(&list, p.NameSpan, "a policy `for host`")
		}
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil || p.Audit {
				continue
			}
			for _, r := range b.Rules {
				if r.Audit {
					continue
				}
				if b == p.Ingress && r.L7 != nil && r.L7.Kind == program.L7DNS {
					refuse(&list, r.L7Span, "a dns part in ingress")
				}
				rule(&list, r)
			}
		}
	}
	return list
}

// decides reports whether something of a policy counts for verdicts.
func decides(p *check.Policy) bool {
	return !p.Audit && slices.ContainsFunc([]*check.Block{p.Ingress, p.Egress}, func(b *check.Block) bool {
		return b != nil && (len(b.Rules) == 0 || slices.ContainsFunc(b.Rules, func(r *check.Rule) bool { return !r.Audit }))
	})
}

// rule reports one rule, each part of it once.
func rule(list *diag.List, r *check.Rule) {
	for _, p := range r.Peers.Include {
		if what := domain(p.Domain); what != "" {
			refuse(list, r.PeersSpan, what)
			break
		}
	}
	if r.L7 == nil {
		return
	}
	if what := l7(r.L7); what != "" {
		refuse(list, r.L7Span, what)
	}
}

func refuse(list *diag.List, span diag.Span, what string) {
	list.Add(diag.Diagnostic{
		Code: diag.NotSupported, Span: span, Summary: fmt.Sprintf("%s is not supported yet on a node", what),
	})
}

// domain names what the DNS proxy does not do, empty when there is nothing.
func domain(d *program.Domain) string {
	switch {
	case d == nil:
	case len(d.Private) > 0:
		return "`private`"
	case len(d.Aliases) > 0:
		return "`via cname`"
	}
	return ""
}

// l7 names what no proxy judges, empty when there is nothing.
func l7(l *program.L7) string {
	if len(l.GRPC) > 0 {
		return "`grpc`"
	}
	for _, h := range l.HTTP {
		switch {
		case len(h.Headers) > 0:
			return "a condition on a header"
		case h.Upgrade != "":
			return "`upgrade`"
		case slices.Contains(h.Methods, "CONNECT"):
			return "the method `CONNECT`"
		}
	}
	return ""
}
