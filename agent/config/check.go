// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// check finds the first value that can't be right and says what to write instead.
func (c *Config) check() error {
	if len(c.Policies) == 0 {
		return errors.New("policies is missing: name at least one file or folder of .mpol files")
	}
	if i := slices.Index(c.Guardrails, ""); i >= 0 {
		return fmt.Errorf("guardrails[%d] is empty: name a folder of guardrails or remove the entry", i)
	}
	if !slices.Contains([]string{"drop", "reject"}, c.Deny) {
		return fmt.Errorf("deny is %q: write drop or reject", c.Deny)
	}
	if !slices.Contains([]string{"refused", "nxdomain"}, c.DNSRefusal) {
		return fmt.Errorf("dns_refusal is %q: write refused or nxdomain", c.DNSRefusal)
	}
	if c.TTL.Min < 0 || c.TTL.Max < c.TTL.Min || c.TTL.Grace < 0 {
		return fmt.Errorf("ttl: min %s, max %s, grace %s: none may be negative nor min above max",
			c.TTL.Min, c.TTL.Max, c.TTL.Grace)
	}
	if c.Listen.DNS == 0 || c.Listen.L7First == 0 || c.Listen.L7Last < c.Listen.L7First {
		return errors.New("listen: dns, l7_first and l7_last must be ports, l7_last not below l7_first")
	}
	if l := c.Listen; l.L7First <= l.DNS && l.DNS <= l.L7Last {
		return fmt.Errorf("listen: dns %d lies within l7_first to l7_last; keep them apart", l.DNS)
	}
	if c.CgroupRoot != "" && strings.HasPrefix(c.OwnCgroup+"/", c.CgroupRoot+"/") {
		return fmt.Errorf("own_cgroup %s lies within cgroup_root; our own processes must be outside", c.OwnCgroup)
	}
	if err := distinct("marks", c.Marks.Redirect, c.Marks.Loop, c.Marks.Upstream); err != nil {
		return err
	}
	if err := distinct("route_tables", c.RouteTables.Redirect, c.RouteTables.Loop); err != nil {
		return err
	}
	return c.checkWorkloads()
}

func distinct(key string, ns ...uint32) error {
	for i, n := range ns {
		if n == 0 || slices.Contains(ns[:i], n) {
			return fmt.Errorf("%s: values must not be 0 and must differ", key)
		}
	}
	return nil
}

func (c *Config) checkWorkloads() error {
	names, owners := map[string]bool{}, map[netip.Addr]string{}
	places := map[string]string{}
	for i, w := range c.Workloads {
		at := fmt.Sprintf("workloads[%d] (%s)", i, w.Name)
		switch {
		case w.Name == "":
			return fmt.Errorf("workloads[%d] has no name", i)
		case names[w.Name]:
			return fmt.Errorf("%s: the name is taken by another workload", at)
		case w.Interface != "" && w.Cgroup != "":
			return fmt.Errorf("%s: has both interface and cgroup; keep one", at)
		case w.Cgroup != "" && c.CgroupRoot == "":
			return fmt.Errorf("%s: has a cgroup but cgroup_root is missing", at)
		case w.Cgroup != "" && len(w.Addresses) > 0:
			return fmt.Errorf("%s: a workload in a cgroup shares the node's addresses; remove addresses", at)
		case w.Cgroup == "" && len(w.Addresses) == 0:
			return fmt.Errorf("%s: has neither addresses nor a cgroup; no packet could be its", at)
		case w.Cgroup != "" && (strings.HasPrefix(w.Cgroup, "/") || strings.Contains("/"+w.Cgroup+"/", "/../")):
			return fmt.Errorf("%s: cgroup %q must be a path below cgroup_root", at, w.Cgroup)
		}
		names[w.Name] = true
		for _, place := range []string{w.Interface, w.Cgroup} {
			if place != "" && places[place] != "" {
				return fmt.Errorf("%s: %s belongs to workload %s already", at, place, places[place])
			}
			places[place] = w.Name
		}
		for _, a := range w.Addresses {
			if o := owners[a.Unmap()]; o != "" {
				return fmt.Errorf("%s: address %s belongs to workload %s already", at, a, o)
			}
			if slices.Contains(c.NodeAddresses, a) {
				return fmt.Errorf("%s: address %s is among node_addresses", at, a)
			}
			owners[a.Unmap()] = w.Name
		}
	}
	return nil
}
