// SPDX-License-Identifier: Apache-2.0

// Package dnsproxy is the transparent DNS proxy of the node: it judges the questions of local
// workloads, forwards the allowed ones to the server that the client meant and lets an answer leave
// only after the addresses in it are open to that client.
//
// It is not a resolver and not a cache: it asks nothing of its own, follows no alias and keeps no
// answer but the addresses that Replay needs. It writes no map: Config.Commit does. It does not
// find out whose packet it holds: Config.Client does.
//
//	p, err := dnsproxy.New(dnsproxy.Config{Listen: addrs, Client: whose, Commit: write})
//	p.Apply(dnsproxy.ViewOf(1, &prog.Tables))
//	go p.Serve(ctx)
//	...
//	p.Apply(old, next)              // a question needs the consent of both
//	commitAll(p.Replay(next))       // what workloads still hold from earlier answers
//	p.Apply(next)
//
// Invariants: an answer leaves only after Config.Commit has returned nil for its addresses, however
// long that takes, and on error or time-out the client gets SERVFAIL; what cannot be read is
// refused; a question or answer changes in nothing but its ID and, downwards, its TTLs; what one
// workload learns is granted to that workload alone; without a view, everything is refused.
package dnsproxy
