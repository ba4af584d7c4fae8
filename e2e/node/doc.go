// SPDX-License-Identifier: Apache-2.0

// Package node runs a real mpol agent on the node of a lab's world, for whole-node tests, the
// demonstration and the benchmarks.
//
// It knows how an administrator would set a node up and nothing of how the agent works: it writes
// a configuration file and a folder of policies, starts the binary, and reads what `mpol status`
// and the events file say.
//
//	n, err := node.Start(ctx, world, node.Config{Mpol: "bin/mpol", Envoy: ".tools/envoy", Policies: dir})
//	defer n.Stop()
//	err = n.Apply(ctx, "allow to cart", "deny to cart")
//
// Invariants: Stop leaves nothing of the agent on the machine, however it ended.
package node
