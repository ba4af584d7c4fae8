// SPDX-License-Identifier: Apache-2.0

// Package policytest runs the test blocks of a module.
//
// Each test is a small world of its own: the workloads that it gives, all enforced, the node, a
// resolver, and the answers that it gives. Its lines are judged by the reference evaluator against
// every policy of the module. What a line leaves open (an address, a request, a method, the type of a
// question) is tried in every way that a rule could tell apart; when the verdict depends on it the line
// is an error.
//
// The package starts nothing and reads no file, and it proves nothing about worlds that no test
// gives.
//
//	for _, r := range policytest.Run(module, policytest.Options{}) {
//		fmt.Println(r.Span, r.Status, r.Summary)
//	}
//
// A Suite does the same test by test, for those who choose, order or repeat them.
//
// Invariants: the results are in file order, one a line; a line that says nothing certain never
// passes.
package policytest
