// SPDX-License-Identifier: Apache-2.0

// Package agent is the composition root of a node: it turns policy files into one generation after
// the other and keeps the datapath, the DNS proxy and the L7 proxy in step.
//
// It decides nothing about a flow itself. Parsing, compiling and judging live elsewhere; here is
// the order in which their results come into force, and what happens when a part fails.
//
//	err := agent.Run(ctx, cfg, slog.Default())
//	err = agent.Cleanup(ctx, cfg)
//
// Invariants: a generation comes into force whole or not at all; files with a mistake change
// nothing on the node; a failed first start leaves nothing behind; the end of Run leaves the last
// generation in force, Envoy included, until Cleanup.
package agent
