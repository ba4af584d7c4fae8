// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Marks are the packet and socket marks of one agent: non-zero and distinct. They select routes
// and switch connection tracking off; they grant nothing, since a workload may set one too.
type Marks struct {
	// Redirect is put on packets that a tcx program hands to a socket of a proxy.
	Redirect uint32
	// Loop is put on the TCP sockets of host workloads whose flow leads through lo to a proxy.
	Loop uint32
	// Upstream is carried by the sockets of the proxies that use an address of another: the
	// listeners, whose answers come from the server's address, and the connections that keep the
	// client's. Without it connection tracking calls these packets invalid.
	Upstream uint32
}

// RouteTables are the routing tables of one agent, distinct and used by nobody else.
type RouteTables struct {
	Redirect uint32
	Loop     uint32
}

// Steering is what the network stack of one network namespace needs to bring flows to the proxies:
// rules that lead marked packets to a table of their own, in it a default route that delivers them
// here, a route for the IPv6 aliases of resolvers, and an nft table that keeps such flows out of
// connection tracking. It sets no sysctl: what passes lo brings its route along, so that neither
// route_localnet nor accept_local is asked, and rp_filter may be on.
//
// SetUp and Remove act on the network namespace of the calling thread. A namespace has one agent.
type Steering struct {
	Marks  Marks
	Tables RouteTables
	// Priority is the first of the five that the rules take. 0 means 13900: after the table local,
	// before main.
	Priority int
	// NFT is the name of the nft table, family inet. Empty means "mpol".
	NFT string
	// Devices are those of workloads that carry our programs: their numbers by name. Another device
	// of such a name was made anew, carries none and is closed. Commit sets it.
	Devices map[string]int
}

const (
	defaultPriority = 13900
	defaultNFT      = "mpol"
)

// aliases returns the prefixes of the addresses that stand for resolvers while a datagram of a host
// workload is on its way to the DNS proxy and back. The last two bytes are a hash of the resolver's
// address: see alias_of in hooks.c. Nobody outside this node sees one.
func aliases() (v4, v6 netip.Prefix) {
	return netip.MustParsePrefix("127.77.0.0/16"), netip.MustParsePrefix("fd6d:706f:6c::/64")
}

// SetUp brings the namespace into the state of s, whatever part of it is there already. After an
// error nothing is left where nothing was; what was there before goes on steering.
func (s Steering) SetUp() error {
	if err := s.check(); err != nil {
		return fmt.Errorf("set up steering: %w", err)
	}
	live, err := s.isLive()
	if err != nil {
		return fmt.Errorf("set up steering: %w", err)
	}
	err = errors.Join(s.setUpRoutes(), s.setUpNFT())
	if err == nil {
		return nil
	}
	err = fmt.Errorf("set up steering: %w", err)
	if live {
		return err
	}
	return errors.Join(err, s.Remove())
}

// Remove takes away everything that SetUp made; what is not there is no error.
func (s Steering) Remove() error {
	if err := errors.Join(s.removeRoutes(), s.removeNFT()); err != nil {
		return fmt.Errorf("remove steering: %w", err)
	}
	return nil
}

func (s Steering) check() error {
	m, t := s.Marks, s.Tables
	switch {
	case m.Redirect == 0 || m.Loop == 0 || m.Upstream == 0:
		return errors.New("a mark is 0")
	case m.Redirect == m.Loop || m.Redirect == m.Upstream || m.Loop == m.Upstream:
		return errors.New("two marks are equal")
	case t.Redirect == 0 || t.Loop == 0 || t.Redirect == t.Loop:
		return errors.New("the routing tables are 0 or equal")
	case reserved(t.Redirect) || reserved(t.Loop):
		return errors.New("a routing table is one of the kernel's (253 to 255)")
	}
	return nil
}

// reserved tables are default, main and local.
func reserved(table uint32) bool { return 253 <= table && table <= 255 }

func (s Steering) priority() int {
	if s.Priority == 0 {
		return defaultPriority
	}
	return s.Priority
}

func (s Steering) nftName() string {
	if s.NFT == "" {
		return defaultNFT
	}
	return s.NFT
}

// families of the routes and rules; IPv6 is left out where the kernel has none.
func families() []int {
	if !haveIPv6() {
		return []int{netlink.FAMILY_V4}
	}
	return []int{netlink.FAMILY_V4, netlink.FAMILY_V6}
}
