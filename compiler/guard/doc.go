// SPDX-License-Identifier: Apache-2.0

// Package guard runs guardrails over a Module: rules about policies, written in Rego and evaluated
// by OPA. A guardrail refuses what the language allows but an organisation does not.
//
// It is not a part of any verdict: no packet is judged by Rego. It reads the Module as JSON and
// says yes or no before a Program exists.
//
//	diags, err := guard.Run(ctx, module, guard.Options{})
//	// policies/shop.mpol:12:8: error[guard/owner]: policy shop.web has no owner
//
// A guardrail named NAME is a Rego module of package mpol.guardrails.NAME (in brackets where NAME
// has a hyphen: mpol.guardrails["admin-ports"]). Its set deny holds what refuses the policy, its set
// warn what is only said; it has one of them at least. Both hold objects with exactly the texts
// message, help and span, the last copied from the input, which is one of
//
//	{"version": 1, "policy": a policy without its rules, "tier": its tier}
//	{"version": 1, "policy": ..., "tier": ..., "direction": "ingress", "rule": one of its rules}
//	{"version": 1, "module": check.Module as its JSON tags say}
//
// without null and with each place as one text. A guardrail that reads input.module is asked once; any
// other of every policy and of each of its rules, which is what makes guardrails cheap: the answer
// for a policy that has not changed is remembered (Memory), an input holds only what the guardrail
// reads of it, and it is not asked at all where a plain condition of its rules fails (premise).
// Schema describes the inputs, and the references to them are checked against the schema when the
// guardrail is compiled.
//
// @allow("NAME", "reason") on a policy or rule silences the guardrail within that policy or rule.
//
// Test runs the Rego tests of a folder of guardrails and says which lines they do not reach.
//
// Invariants: a guardrail sees no clock, no network, no environment and no randomness, so that its
// answer depends on the Module alone; one that does not compile, fails, takes too long, answers in
// another shape or has a rule that nothing uses is an error diagnostic of its own and never silence.
package guard
