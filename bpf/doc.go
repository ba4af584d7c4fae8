// SPDX-License-Identifier: Apache-2.0

// Package bpf is the datapath: it puts the Tables of a Program into the kernel, where BPF programs
// judge every packet of the node's workloads, and reports what they decided.
//
// It is not a firewall of the node itself, and no packet is judged in Go. It knows neither
// policies nor names: what a learned address opens is told by Learn.
//
//	d, err := bpf.Load(config)       // adopts what an earlier process left pinned
//	stage, err := d.Stage(tables, ports) // beside the live generation; no packet sees it
//	err = stage.Commit()             // one write, and every packet is judged by it
//	err = stage.Sweep()              // takes away what only the old generation used
//	err = d.Events(ctx, func(e bpf.Event) { fmt.Println(e.Verdict, e.Rule) })
//
// Invariants: a packet is judged by one generation; a failed Stage leaves the node as it was; what
// is pinned goes on judging without this process; whatever is missing is denied. The maps number
// everything by keys that never change their meaning: see Numbers. Byte order lives in encode.go
// and in the C alone.
package bpf
