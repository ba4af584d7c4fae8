// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"

	"mpol/agent/config"
)

// discover asks the machine for what the configuration may leave out: the addresses of its devices
// and the nameservers of its resolv.conf.
func discover() (config.Discovered, error) {
	var d config.Discovered
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return d, fmt.Errorf("list addresses of this node: %w", err)
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			d.Addresses = append(d.Addresses, ip.Unmap())
		}
	}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return d, nil // a node may have none; then a policy with names says that it lacks a resolver
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(fields[1]); err == nil {
			d.Resolvers = append(d.Resolvers, ip.WithZone(""))
		}
	}
	return d, lines.Err()
}
