// SPDX-License-Identifier: Apache-2.0

// Package e2e tests whole nodes: the real binary, kernel, Envoy, resolver and clients, in network
// namespaces of one machine. It holds nothing but tests; what they share with the demonstration
// and the benchmarks is in lab (the machines) and node (the agent on one of them).
//
// It looks at a node as its users do: what a client gets, what `mpol` says and with which exit
// code, and what is left on the machine. Which packet meets which program is tested in bpf, which
// byte makes which verdict in dnsproxy and l7proxy.
//
//	n := start(t, setup{policy: `policy one for one { egress { two: allow to two on tcp/7000 } }`})
//	got := tcp(t, n.Device(0), netip.AddrPortFrom(n.Workloads[1].IPv4, 7000))
//
// Invariants: each test has a world of its own and leaves nothing; a denial stands beside a try of
// the same server that is allowed.
package e2e
