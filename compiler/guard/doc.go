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
// has a hyphen: mpol.guardrails["admin-ports"]). Its set deny holds objects with exactly the texts
// message and help and the object span, copied from the input. The input is
//
//	{"version": 1, "module": check.Module as its JSON tags say}
//
// and the references to it are checked against that shape when the guardrail is compiled.
//
// @allow("NAME", "reason") on a policy or rule silences the guardrail within that policy or rule.
//
// Invariants: a guardrail sees no clock, no network, no environment and no randomness, so that its
// answer depends on the Module alone; one that does not compile, fails, takes too long or answers
// in another shape is an error diagnostic of its own and never silence.
package guard
