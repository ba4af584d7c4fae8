// SPDX-License-Identifier: Apache-2.0

// Command demo shows mpol at work on one machine: it lays out a small world in network namespaces,
// starts the agent on a copy of policies/examples/shop, drives it with curl, dig and netcat, and
// prints one table of what was tried, what happened and the line of policy that decided.
//
// It is not a test suite, but it is as strict as one: an outcome or a rule that is not what the
// policy says makes it exit with 1. The deciding rule is read from the agent's events, never from
// what the demonstration expects.
//
//	go run ./e2e/demo -mpol bin/mpol -envoy .tools/envoy
//
// Invariants: every denied row names the row that shows the same server alive; whatever the demo
// made is gone when it ends, also when it is interrupted.
package main
