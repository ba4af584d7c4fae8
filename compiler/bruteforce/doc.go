// SPDX-License-Identifier: Apache-2.0

// Package bruteforce is the second reference evaluator, for tests: it judges a flow straight by a
// Module, clause by clause as the language says it, with nothing prepared and nothing remembered.
//
// It is slow and short. It shares no search with package verdict, whose types it takes, nor anything
// with the lowering, so that a test that compares two of them finds a mistake in either. Only what a path
// is judged as, and what is an HTTP message, it takes from there: both have tests of their own.
//
//	e := bruteforce.Evaluator{Module: module, Inventory: inventory}
//	v := e.Judge(verdict.Flow{
//		From: verdict.End{Addr: web}, To: verdict.End{Addr: outside}, Proto: program.ProtoTCP, Port: 443,
//	})
//	fmt.Println(v.Action, v.Half, v.Rule, v.At)
//
// Invariants: Judge is a pure function; nothing but tests imports it. Answers with different requests, for
// which no one profile is right, are more than it judges.
package bruteforce
