// SPDX-License-Identifier: Apache-2.0

// Package compiler turns a checked module and an inventory into a program.
//
// Resolve keeps the rules as they stand and numbers them; Compile also lowers them: the address
// space is cut into cells by the prefixes that rules mention, labels and cells make identities,
// identities that no rule of a table tells apart make classes, and for each class the tiers are
// dissolved into one verdict a port range. What needs a request becomes profiles, what needs a
// name becomes name sets and questions.
//
// The package judges no flow: package verdict does, and shares no code with it. It reads no file,
// no clock and no environment.
//
//	p, diags := compiler.Compile(module, inventory)
//	if diags.HasErrors() { ... }
//	dump, err := p.JSON()
//
// Invariants: Compile is deterministic to the byte; a key never changes its meaning, so that a
// datapath may keep what it has under a key; a program is returned only when no diagnostic is an
// error.
package compiler
