// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
)

// opened reports whether a learned name opens the address to r. What c holds must then be for the
// same peer or, if pinned, for the very pattern by which the name opened it.
func (h *half) opened(r *say, c content) bool {
	if r.Action != program.Allow || len(h.answers) == 0 {
		return false
	}
	for i := range r.Peers.Include {
		t := &r.Peers.Include[i]
		for j := range h.answers {
			for _, p := range h.credits(r, t, &h.answers[j]) {
				switch {
				case c.name == nil:
					return true
				case r.L7.Pinned && c.readable && p.Matches(*c.name):
					return true
				case !r.L7.Pinned && c.readable && t.Domain.Matches(*c.name) && !excepted(r.Peers, *c.name):
					return true
				}
			}
		}
	}
	return false
}

// credits returns the patterns of a domain peer of r by which an answer opens the address.
func (h *half) credits(r *say, t *program.Peer, a *Answer) []program.NamePattern {
	if t.Kind != program.PeerDomain || t.Domain.Excepts(a.Name) || excepted(r.Peers, a.Name) || !h.opens(t.Domain) || !h.believes(r, a) {
		return nil
	}
	var ps []program.NamePattern
	for _, p := range t.Domain.Patterns {
		if p.Matches(a.Name) {
			ps = append(ps, p)
		}
	}
	for _, p := range t.Domain.Aliases {
		if slices.ContainsFunc(a.Via, p.Matches) {
			ps = append(ps, p)
		}
	}
	return ps
}

// opens reports whether names of d may open the other end's address, which is of world.
func (h *half) opens(d *program.Domain) bool {
	return h.internet(h.other) || contains(d.Private, h.other.addr)
}

// believes reports whether a comes from a resolver of r that is believed about the name.
func (h *half) believes(r *say, a *Answer) bool {
	if a.Server == (End{}) {
		return true
	}
	server, ok := h.resolve(a.Server)
	return ok && h.resolver(r, func(s *program.Resolver) bool { return h.serves(s, server) && believed(s, a.Name) })
}

// torn reports whether names lead the flow to different L7 rules, so that no one profile is right: a
// name takes part by the domain peers that it matches and that some rule allows the flow's port, and
// where that rule pins the server name by the patterns.
func (h *half) torn() bool {
	if len(h.answers) < 2 {
		return false
	}
	var takes []string
	for j := range h.answers {
		speaks := ""
		h.each(func(r *say) {
			if r.Action != program.Allow || !r.covers {
				return
			}
			for i := range r.Peers.Include {
				ps := h.credits(r, &r.Peers.Include[i], &h.answers[j])
				if len(ps) == 0 {
					continue
				}
				speaks += fmt.Sprint(r.ID, ".", i, " ")
				if r.L7 != nil && r.L7.Pinned {
					slices.Sort(ps)
					speaks += fmt.Sprint(slices.Compact(ps), " ")
				}
			}
		})
		if speaks != "" && !slices.Contains(takes, speaks) {
			takes = append(takes, speaks)
		}
	}
	return len(takes) > 1
}
