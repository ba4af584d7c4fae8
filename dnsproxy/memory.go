// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mpol/compiler/program"
)

// memory holds the addresses of the answers that workloads were given and still live, so that a
// new generation can open them for a rule that did not exist when they were asked for.
type memory struct {
	limit      int
	mu         sync.Mutex
	byWorkload map[string]*lru[memoryKey, remembered]
}

// memoryKey is a question on its way.
type memoryKey struct {
	way
	name wireName
	typ  uint16
}

type remembered struct {
	memoryKey
	until []deadline
}

// deadline is until when an address is open, the grace period included.
type deadline struct {
	addr netip.Addr
	at   time.Time
}

func newMemory(limit int) *memory {
	return &memory{limit: limit, byWorkload: make(map[string]*lru[memoryKey, remembered])}
}

// add remembers an answer of now in the place of an earlier one.
func (m *memory) add(workload string, key memoryKey, addrs []Address, now time.Time) {
	r := remembered{memoryKey: key, until: make([]deadline, len(addrs))}
	for i, a := range addrs {
		r.until[i] = deadline{a.Addr, now.Add(a.TTL)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.byWorkload[workload]
	if l == nil {
		l = newLRU[memoryKey, remembered](m.limit, nil)
		m.byWorkload[workload] = l
	}
	// The last answer's addresses live on by their own TTLs where this one lacks them.
	if old, ok := l.get(key); ok {
		r.until = merge(r.until, old.until, now)
	}
	l.put(key, r)
}

// maxAddresses bounds the addresses remembered of one question.
const maxAddresses = 256

// merge adds what still lives of old to fresh, the later deadline winning, the latest first kept.
func merge(fresh, old []deadline, now time.Time) []deadline {
	for _, o := range old {
		i := slices.IndexFunc(fresh, func(d deadline) bool { return d.addr == o.addr })
		switch {
		case !o.at.After(now):
		case i < 0 && len(fresh) < maxAddresses:
			fresh = append(fresh, o)
		case i >= 0 && o.at.After(fresh[i].at):
			fresh[i].at = o.at
		}
	}
	return fresh
}

// forget drops what a workload was given.
func (m *memory) forget(workload string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byWorkload, workload)
}

// replay judges what still lives under v: a grant for each question whose name opens something.
func (m *memory) replay(v *View, now time.Time) []Grant {
	m.mu.Lock()
	defer m.mu.Unlock()
	var grants []Grant
	for workload, l := range m.byWorkload {
		l.keep(func(r remembered) bool {
			return slices.ContainsFunc(r.until, func(d deadline) bool { return d.at.After(now) })
		})
		if len(l.byKey) == 0 {
			delete(m.byWorkload, workload)
			continue
		}
		l.each(func(r remembered) {
			if g, ok := r.grant(v, workload, now); ok {
				grants = append(grants, g)
			}
		})
	}
	slices.SortStableFunc(grants, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(a.Workload, b.Workload), slices.Compare(a.Name, b.Name))
	})
	return grants
}

func (r remembered) grant(v *View, workload string, now time.Time) (Grant, bool) {
	g := Grant{Workload: workload, Name: r.name.labels()}
	d := v.judge(workload, r.way, g.Name, r.typ)
	if !d.allow || len(d.sets) == 0 {
		return Grant{}, false
	}
	g.Sets = d.sets
	for _, u := range r.until {
		if left := u.at.Sub(now); left > 0 && !v.forbidden(u.addr) {
			g.Addresses = append(g.Addresses, Address{Addr: u.addr, TTL: left})
		}
	}
	return g, len(g.Addresses) > 0
}

// hasSuffix reports whether name ends in one of the suffixes.
func hasSuffix(suffixes []program.Name, name program.Name) bool {
	return slices.ContainsFunc(suffixes, func(s program.Name) bool {
		return len(name) >= len(s) && slices.Equal(name[len(name)-len(s):], s)
	})
}
