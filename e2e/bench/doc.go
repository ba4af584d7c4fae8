// SPDX-License-Identifier: Apache-2.0

// Command bench measures what mpol costs, each figure beside a peer or the floor: a packet beside
// the empty program, a question beside the resolver alone, a request and a flow beside the same
// without mpol; and, of what authors do, reading, checking, judging and testing beside OPA with the
// same in Rego. It prints one table.
//
// It sets no thresholds and decides nothing: a figure means something only beside its neighbour of
// the same run. Both sides of a row are measured in turn, round by round, so that what disturbs the
// machine disturbs both; the ratio is taken within a round.
//
//	go run ./e2e/bench -mpol bin/mpol -envoy .tools/envoy
//	go run ./e2e/bench -part author
//
// Invariants: all traffic stays in the lab's namespaces; a run is bounded by its rounds, about four
// seconds each for a node and half a minute for authors; the authors' part needs no root; nothing is
// left when it ends, also when it is interrupted.
package main
