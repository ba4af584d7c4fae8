// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// Inventory returns what the policies are compiled against. Discovered are the addresses of the
// node's devices and the nameservers of the system; they count where the file states none.
func (c *Config) Inventory(discovered Discovered) program.Inventory {
	inv := program.Inventory{Node: c.NodeAddresses, Resolvers: c.Resolvers}
	if len(inv.Node) == 0 {
		inv.Node = discovered.Addresses
	}
	if len(inv.Resolvers) == 0 {
		inv.Resolvers = discovered.Resolvers
	}
	inv.Node, inv.Resolvers = sortedAddrs(inv.Node), sortedAddrs(inv.Resolvers)
	for _, w := range c.Workloads {
		out := program.Workload{
			Name: w.Name, Addresses: sortedAddrs(w.Addresses), Interface: w.Interface, Cgroup: w.Cgroup,
		}
		for k, v := range w.Labels {
			out.Labels = append(out.Labels, program.Label{Key: k, Value: v})
		}
		slices.SortFunc(out.Labels, func(a, b program.Label) int { return cmp.Compare(a.Key, b.Key) })
		inv.Workloads = append(inv.Workloads, out)
	}
	slices.SortFunc(inv.Workloads, func(a, b program.Workload) int { return cmp.Compare(a.Name, b.Name) })
	return inv
}

// Discovered is what the machine says of itself.
type Discovered struct {
	Addresses []netip.Addr
	Resolvers []netip.Addr
}

func sortedAddrs(in []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(in))
	for _, a := range in {
		out = append(out, a.Unmap().WithZone(""))
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
