// SPDX-License-Identifier: Apache-2.0

// Package verdict is the reference evaluator: it says what the language means for one flow, DNS
// question or request, by walking the resolved rules as they stand in the file.
//
// It shares nothing with the lowering in package compiler: it reads program.Rules and never
// program.Tables, so that a test that compares the two finds a mistake in either. An Evaluator is the
// same for many flows: it remembers who is where and which rules have a say at a port, and no verdict.
//
//	v := verdict.Decide(&p.Rules, verdict.Flow{
//		From: verdict.End{Workload: "web-1", Addr: web}, To: verdict.End{Addr: outside},
//		Proto: program.ProtoTCP, Port: 443, Names: []program.Name{program.ParseName("api.example")},
//	})
//	fmt.Println(v.Action, v.Half, p.Rules.Source(v.Rule))
//
// Invariants: Decide is a pure function; what it does not know (a workload, an address that is not
// its owner's, a request of another kind than the rules) it denies.
package verdict
