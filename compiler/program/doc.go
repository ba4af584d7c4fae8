// SPDX-License-Identifier: Apache-2.0

// Package program is the contract between those who understand policies and those who enforce them.
//
// A Program is inert data with two parts that say the same thing in two ways. Rules is the policy
// resolved but not lowered: tiers, policies, rules in file order and the inventory; the reference
// evaluator reads nothing else. Tables is the policy lowered for enforcement: identities, classes,
// entries, name rules and L7 profiles; the datapath, the DNS proxy and the L7 proxy read nothing
// else. A mistake in the lowering therefore cannot hide in both.
//
// The package is not a compiler and evaluates nothing but name patterns, whose meaning must be one
// for all who compare names. It imports the standard library alone.
//
//	p, diags := compiler.Compile(module, inventory)
//	src := p.Rules.Source(rule) // shop.cart.read at policies/shop.mpol:31:5
//	for _, t := range p.Tables.Tables {
//		fmt.Println(t.Key, len(t.Classes))
//	}
//
// Invariants: every slice is sorted or in file order, so that equal input gives an equal dump;
// every entry, question and request rule names the rule that caused it; whatever outlives a
// generation is named by a Key, a text whose meaning never changes, and never by an index.
package program
