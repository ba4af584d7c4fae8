// SPDX-License-Identifier: Apache-2.0

// Package diag holds what the compiler says about a text as data: a stable code, a tight span, a
// one-line fact, help that can be pasted, and the other places that take part.
//
// It is not an error type for failures of the machine: those are wrapped Go errors. It is the
// bottom of everything and imports the standard library alone.
//
//	var l diag.List
//	l.Add(diag.Diagnostic{Code: diag.UnknownName, Span: span, Summary: "no workload is named `wbe`"})
//	l.Sort([]string{"shop.mpol"})
//	err := diag.WriteHuman(os.Stderr, l, source, false)
//
// Invariants: a Code never changes its meaning; a sorted List is in file order; every code is in
// Codes.
package diag
