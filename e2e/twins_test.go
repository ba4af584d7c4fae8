// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"testing"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// twinsPolicy is that of the second node too, with the ports of the two exchanged.
const twinsPolicy = `
@owner("net") policy clients for (app in ["one", "daemon"]) {
  egress {
    two: allow to two         on tcp/7000
    a:   allow to "a.example" on tcp/80   http { GET "/first/**" }
  }
}
`

// TestTwins runs two nodes beside each other, with the same addresses, ports, marks, tables and
// names of workloads: neither sees the other, and the end of one is nothing to the other.
func TestTwins(t *testing.T) {
	t.Parallel()
	first, second := start(t, setup{policy: twinsPolicy}), start(t, setup{policy: twinsPolicy})
	check(t, second.Apply(t.Context(), policyFile, "tcp/7000", "tcp/7001"))
	check(t, second.Apply(t.Context(), policyFile, "/first/", "/second/"))
	port := func(p uint16) netip.AddrPort { return netip.AddrPortFrom(first.Workloads[1].IPv4, p) }
	for _, n := range []*node.Node{first, second} {
		_, err := n.Workloads[1].Echo(port(7000), port(7001))
		check(t, err)
	}
	judged := func(n *node.Node, name string, allowed, denied uint16, path, other string) {
		t.Helper()
		for who, c := range clients(n) {
			get := func(path string) string {
				return c.Curl(t.Context(), "-4", "--max-time", "4", "http://a.example"+path).Outcome()
			}
			compare(t,
				step{name + " " + who + ", its port", tcp(t, c, port(allowed)), lab.Answered},
				step{name + " " + who + ", the other's port", tcp(t, c, port(denied)), lab.Refused},
				step{name + " " + who + ", the other's path", get(other), "403"})
			eventually(t, name+" "+who+", its path", "200", func() string { return get(path) })
		}
	}
	judged(first, "first", 7000, 7001, "/first/1", "/second/1")
	judged(second, "second", 7001, 7000, "/second/1", "/first/1")
	before := traces(t, second)
	check(t, first.Stop())
	compareTraces(t, second, before)
	judged(second, "second, alone,", 7001, 7000, "/second/2", "/first/2")
	compare(t, step{"first without an agent", tcp(t, first.Device(0), port(7001)), lab.Answered})
}
