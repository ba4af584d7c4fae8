// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// haveIPv6 reports whether the kernel of this namespace speaks IPv6 at all.
func haveIPv6() bool {
	_, err := os.Stat("/proc/thread-self/net/if_inet6")
	return err == nil
}

// loopbackIPv6 reports whether lo speaks IPv6: only then it takes IPv6 routes.
func loopbackIPv6() bool {
	text, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	return err == nil && bytes.Contains(text, []byte(" lo\n"))
}

func (s Steering) setUpRoutes() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	for _, route := range s.routes(lo.Attrs().Index) {
		if route.Family == netlink.FAMILY_V6 && !loopbackIPv6() {
			continue // no packet comes that far; the last rules see to it
		}
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("add route %v: %w", route, err)
		}
	}
	for _, rule := range s.rules() {
		// The kernel takes an equal rule only once and says so.
		if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add %v: %w", rule, err)
		}
	}
	return nil
}

// isLive reports whether a rule of s is there.
func (s Steering) isLive() (bool, error) {
	found, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("list rules: %w", err)
	}
	return slices.ContainsFunc(found, func(r netlink.Rule) bool {
		return r.Mark == s.Marks.Redirect && r.Table == int(s.Tables.Redirect)
	}), nil
}

// removeRoutes takes the rules first: without them nothing uses the routes.
func (s Steering) removeRoutes() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	var errs []error
	for _, rule := range s.rules() {
		if err := netlink.RuleDel(rule); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("delete %v: %w", rule, err))
		}
	}
	for _, route := range s.routes(lo.Attrs().Index) {
		if err := netlink.RouteDel(&route); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("delete route %v: %w", route, err))
		}
	}
	return errors.Join(errs...)
}

// rules lead the marks to their tables; a mark is compared whole. The first is for the check of a
// redirected packet's source, which where src_valid_mark is set asks with the mark, as from lo: it
// would find the source to be local and drop the packet. IPv6 has no such check. The last are for
// the day on which a table is empty: routed like others, a redirected packet
// would pass the proxy by.
func (s Steering) rules() []*netlink.Rule {
	var rules []*netlink.Rule
	add := func(family, offset int, mark, table uint32) *netlink.Rule {
		rule := netlink.NewRule()
		rule.Family = family
		rule.Priority = s.priority() + offset
		rule.Mark = mark
		rule.Table = int(table)
		rules = append(rules, rule)
		return rule
	}
	add(netlink.FAMILY_V4, 0, s.Marks.Redirect, unix.RT_TABLE_MAIN).IifName = "lo"
	for _, family := range families() {
		add(family, 1, s.Marks.Redirect, s.Tables.Redirect)
		add(family, 2, s.Marks.Loop, s.Tables.Loop)
		add(family, 3, s.Marks.Redirect, unix.RT_TABLE_UNSPEC).Type = unix.FR_ACT_BLACKHOLE
		add(family, 4, s.Marks.Loop, unix.RT_TABLE_UNSPEC).Type = unix.FR_ACT_BLACKHOLE
	}
	return rules
}

// routes deliver here what the rules lead to them. A host workload's looped flow comes from the
// loopback address: an address of the node could be lost while the flow lives. Every IPv6 alias is
// an address of ours by one route; IPv4 has that for 127.0.0.0/8 anyway.
func (s Steering) routes(lo int) []netlink.Route {
	any4, any6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	_, aliases6 := aliases()
	routes := []netlink.Route{
		deliver(lo, s.Tables.Redirect, any4, nil),
		deliver(lo, s.Tables.Loop, any4, net.IPv4(127, 0, 0, 1)),
	}
	if haveIPv6() {
		routes = append(routes,
			deliver(lo, s.Tables.Redirect, any6, nil),
			deliver(lo, s.Tables.Loop, any6, net.IPv6loopback),
			deliver(lo, unix.RT_TABLE_LOCAL, aliases6, net.IPv6loopback))
	}
	return routes
}

// deliver is "ip route add local TO dev lo table TABLE [src FROM]".
func deliver(lo int, table uint32, to netip.Prefix, from net.IP) netlink.Route {
	family, scope := netlink.FAMILY_V4, netlink.SCOPE_HOST
	if to.Addr().Is6() {
		// IPv6 routes have no scope.
		family, scope = netlink.FAMILY_V6, netlink.SCOPE_UNIVERSE
	}
	return netlink.Route{
		LinkIndex: lo,
		Family:    family,
		Type:      unix.RTN_LOCAL,
		Scope:     scope,
		Table:     int(table),
		Dst:       &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), to.Addr().BitLen())},
		Src:       from,
	}
}
