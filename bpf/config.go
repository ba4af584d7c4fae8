// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
)

// Numbers gives keys their numbers: the same key of a kind has the same number for ever, no number
// is given twice, and none is 0. What it gave must outlive the maps below Config.BPFFS.
type Numbers interface {
	Number(kind, key string) (uint32, error)
}

// Config is what Load and Cleanup need. Both, and Commit, act on the network namespace of the
// calling thread.
type Config struct {
	// BPFFS is the folder of this agent on a bpffs; Load makes it.
	BPFFS string
	// CgroupRoot is the folder, absolute and below the cgroup2 mount, in which all host workloads
	// live. Whoever else lives there is denied. Empty: there are no host workloads.
	CgroupRoot string
	// Uplinks are the devices that lead outside.
	Uplinks []string
	// ProxyCgroups are the absolute folders of our own processes, at most four. They lie outside
	// CgroupRoot; what they open is judged by nobody.
	ProxyCgroups []string
	// ListenerV4 and ListenerV6 are where the proxies listen; by default the loopback addresses.
	ListenerV4, ListenerV6 netip.Addr
	// DNSPort is the port of the DNS proxy, UDP and TCP.
	DNSPort uint16
	// Steering brings flows to the proxies.
	Steering Steering
	// Reject answers every denial with RST or ICMP, not only those of rules that say so.
	Reject bool
	// EventsAll reports every flow, not only what is denied or logged.
	EventsAll bool
	Sizes     Sizes
	Numbers   Numbers
}

// Sizes bound the maps; 0 takes the default. All but Flows hold two generations at a time.
type Sizes struct {
	Addresses uint32 // single addresses; 131072
	Prefixes  uint32 // 131072
	Members   uint32 // identities times tables; 1048576
	Entries   uint32 // verdicts; 1048576
	Names     uint32 // learned addresses times workloads; 262144
	Flows     uint32 // live flows of the node; 262144
}

func (s Sizes) of() map[string]uint32 {
	return map[string]uint32{
		datapathMapAddressesExact: s.Addresses,
		datapathMapAddressesLpm:   s.Prefixes,
		datapathMapMembers:        s.Members,
		datapathMapEntries:        s.Entries,
		datapathMapNames:          s.Names,
		datapathMapFlows:          s.Flows,
	}
}

func (c *Config) check() error {
	switch {
	case c.BPFFS == "":
		return errors.New("no folder on bpffs is configured")
	case c.Numbers == nil:
		return errors.New("no numbers are configured")
	case len(c.ProxyCgroups) > 4:
		return fmt.Errorf("%d cgroups of our own processes, want at most 4", len(c.ProxyCgroups))
	}
	for _, folder := range c.ProxyCgroups {
		rel, err := filepath.Rel(folder, c.CgroupRoot)
		if c.CgroupRoot != "" && (err != nil || filepath.IsLocal(rel)) {
			return fmt.Errorf("cgroup_root %s lies in %s, the cgroup of our own processes", c.CgroupRoot, folder)
		}
		rel, err = filepath.Rel(c.CgroupRoot, folder)
		if c.CgroupRoot != "" && (err != nil || filepath.IsLocal(rel)) {
			return fmt.Errorf("the cgroup of our own processes %s lies in cgroup_root %s", folder, c.CgroupRoot)
		}
	}
	return c.Steering.check()
}

func (c *Config) listeners() (v4, v6 netip.Addr) {
	v4, v6 = c.ListenerV4, c.ListenerV6
	if !v4.IsValid() {
		v4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !v6.IsValid() {
		v6 = netip.IPv6Loopback()
	}
	return v4, v6
}
