// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// Names returns the names, sorted, of which a workload was given an address by answers that still
// live.
func (p *Proxy) Names(workload string, addr netip.Addr) []program.Name {
	m, now := p.memory, p.cfg.Clock()
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []program.Name
	if l := m.byWorkload[workload]; l != nil {
		l.each(func(r remembered) {
			if slices.ContainsFunc(r.until, func(d deadline) bool { return d.addr == addr && d.at.After(now) }) {
				names = append(names, r.name.labels())
			}
		})
	}
	slices.SortFunc(names, slices.Compare[program.Name])
	return slices.CompactFunc(names, slices.Equal[program.Name])
}

// TypeName returns the name of a type of resource records, "TYPE65280" where it has none.
func TypeName(t uint16) string { return dns.Type(t).String() }
