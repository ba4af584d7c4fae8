// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"

	"mpol/e2e/lab"
)

// serveShop starts the servers of the shop's own workloads. Those outside belong to the world.
func (n *node) serveShop() error {
	for i, ports := range [][]uint16{{8443, 8080}, {8080}, {9443}} {
		w := n.Workloads[i]
		var at []netip.AddrPort
		for _, port := range ports {
			at = append(at, netip.AddrPortFrom(w.IPv4, port), netip.AddrPortFrom(w.IPv6, port))
		}
		if _, err := w.Web(lab.WebConfig{Name: names[i], Plain: at}); err != nil {
			return err
		}
	}
	return nil
}

// family is IPv4 or IPv6 with what differs between them.
type family struct {
	name     string // "4" or "6", as curl and dig spell it
	typ      string // of DNS
	icmp     string // as events spell it
	resolver netip.Addr
	address  func(w lab.Workload) netip.Addr
	site     func(s lab.Site) netip.Addr
}

func (n *node) families() []family {
	return []family{
		{
			"4", "A", "icmp/8/0", n.Resolver4,
			func(w lab.Workload) netip.Addr { return w.IPv4 },
			func(s lab.Site) netip.Addr { return s.IPv4 },
		},
		{
			"6", "AAAA", "icmpv6/128/0", n.Resolver6,
			func(w lab.Workload) netip.Addr { return w.IPv6 },
			func(s lab.Site) netip.Addr { return s.IPv6 },
		},
	}
}

// url is "http://HOST:PORT/path" for an address of either family.
func url(a netip.Addr, port uint16, path string) string {
	return "http://" + netip.AddrPortFrom(a, port).String() + path
}
