// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// shop is the node under demonstration.
type shop struct{ *node.Node }

// names are the workloads behind devices, in the order of the world's.
var names = [...]string{"web", "cart", "pay"}

// report is a host workload: a process of the node in a cgroup of its own.
const report = "report"

// config describes the shop's node; denials are answered so that nothing waits for a time-out.
func config(mpol, envoy, policies string) node.Config {
	labels := func(app string) map[string]string { return map[string]string{"app": app, "env": "prod"} }
	return node.Config{
		Mpol: mpol, Envoy: envoy, Policies: policies,
		Devices: []node.Workload{
			{Name: names[0], Labels: labels("web")},
			{Name: names[1], Labels: labels("cart")},
			{Name: names[2], Labels: labels("payments")},
		},
		Services: []node.Workload{{Name: report, Labels: labels("report")}},
		More:     "deny: reject\nevents: {all: true}\n",
	}
}

// serve starts the servers of the shop's own workloads. Those outside belong to the world.
func serve(w *lab.World) error {
	for i, ports := range [][]uint16{{8443, 8080}, {8080}, {9443}} {
		host := w.Workloads[i]
		var at []netip.AddrPort
		for _, port := range ports {
			at = append(at, netip.AddrPortFrom(host.IPv4, port), netip.AddrPortFrom(host.IPv6, port))
		}
		if _, err := host.Web(lab.WebConfig{Name: names[i], Plain: at}); err != nil {
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

func (n *shop) families() []family {
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
