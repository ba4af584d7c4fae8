// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"cmp"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// space says who is where.
type space struct {
	addresses []program.Address // sorted by prefix
	around    []int             // by address, the narrowest wider one, -1
	sockets   map[socketKey]int // identities of host workloads
}

// socketKey is a host workload where it is seen.
type socketKey struct {
	workload string
	cell     int
}

func newSpace(t *program.Tables) *space {
	s := &space{addresses: t.Addresses, around: make([]int, len(t.Addresses)), sockets: make(map[socketKey]int, len(t.Sockets))}
	around := -1
	for i, a := range s.addresses {
		for around >= 0 && !s.addresses[around].Prefix.Contains(a.Prefix.Addr()) {
			around = s.around[around]
		}
		s.around[i], around = around, i
	}
	for _, k := range t.Sockets {
		s.sockets[socketKey{k.Workload, k.Cell}] = k.Identity
	}
	return s
}

// find returns the longest prefix that contains a, nil where there is none. An IPv4-mapped IPv6 address
// counts as IPv4.
func (s *space) find(a netip.Addr) *program.Address {
	a = a.Unmap()
	i, _ := slices.BinarySearchFunc(s.addresses, a, func(x program.Address, a netip.Addr) int {
		return cmp.Or(x.Prefix.Addr().Compare(a), -1)
	})
	for i--; i >= 0 && !s.addresses[i].Prefix.Contains(a); {
		i = s.around[i]
	}
	if i < 0 {
		return nil
	}
	return &s.addresses[i]
}

// host is the name of who uses the node's addresses and is in no workload.
const host = "\x00host"

// server returns the identity of a server and the workload that it is, or host, empty where it is of
// another node; false where nobody knows who it is.
func (s *space) server(to way) (identity int, workload string, ok bool) {
	a := s.find(to.server.Addr())
	if a == nil {
		return 0, "", false
	}
	if id, ok := s.sockets[socketKey{to.receiver, a.Cell}]; ok {
		return id, to.receiver, true
	}
	if a.Node {
		return a.Identity, host, true
	}
	return a.Identity, a.Workload, true
}
