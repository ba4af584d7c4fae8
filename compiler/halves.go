// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"slices"

	"mpol/compiler/program"
)

// profile makes the profile of a row.
func (c *compilation) profile(row program.ProfileRow, use profileUse) *program.Profile {
	p := &program.Profile{
		Key: c.profileKey(row, use), Kind: use.kind, Port: row.Port, Looped: row.Looped, Local: use.local,
	}
	if row.Egress >= 0 {
		s := c.scopes[row.Egress]
		var names *class
		if row.NameClass >= 0 {
			names = &s.classes[row.NameClass]
		}
		p.Egress = c.half(s, &s.classes[row.EgressClass], names, row.Port)
	}
	if row.Ingress >= 0 {
		s := c.scopes[row.Ingress]
		p.Ingress = c.half(s, &s.classes[row.IngressClass], nil, row.Port)
	}
	return p
}

// half makes what a table asks of the requests of a class, and of a name set unless names is nil.
func (c *compilation) half(s *scope, cl, names *class, port uint16) *program.Half {
	h := &program.Half{Tiers: []program.HalfTier{}}
	for _, t := range s.tiers {
		ht := program.HalfTier{Default: t.defaults, DefaultRule: t.defaultRule}
		for _, r := range t.rules {
			if !containsPort(r.L4, program.ProtoTCP, port) {
				continue
			}
			rules := c.requestRules(r, cl, names)
			switch {
			case r.Action == program.Deny:
				ht.Deny = append(ht.Deny, rules...)
			case r.Action == program.Allow:
				ht.Allow = append(ht.Allow, rules...)
			case static(r, cl):
				ht.Default = program.Pass
			}
		}
		h.Tiers = append(h.Tiers, ht)
	}
	if last := h.Tiers[len(h.Tiers)-1]; last.Default == program.Pass {
		end := program.HalfTier{Default: program.Deny, DefaultRule: s.end.Rule}
		if s.end.Allow {
			end.Default = program.Allow
		}
		h.Tiers = append(h.Tiers, end)
	}
	return h
}

// requestRules returns r as it speaks of requests: once if it holds for the class, whatever the
// Host, else once for each of its domain peers that is in the name set. One that is pinned allows the
// names of the patterns that are.
func (c *compilation) requestRules(r *scopeRule, cl, names *class) []program.RequestRule {
	rr := program.RequestRule{Rule: r.key, Every: r.L7 == nil}
	if r.L7 != nil {
		rr.HTTP, rr.GRPC, rr.SNI, rr.SNISets = r.L7.HTTP, r.L7.GRPC, r.L7.SNI, r.L7.SNISets
	}
	if static(r, cl) {
		return []program.RequestRule{rr}
	}
	if names == nil || !named(r, names) {
		return nil
	}
	if rr.Every {
		return []program.RequestRule{rr}
	}
	var out []program.RequestRule
	for i := range r.names {
		n := &r.names[i]
		switch {
		case !slices.Contains(names.names, n.peer):
		case r.L7.Pinned:
			rr.SNI = append(rr.SNI, n.sni)
		default:
			rr.Names = &n.host
			out = append(out, rr)
		}
	}
	if r.L7.Pinned {
		return []program.RequestRule{rr}
	}
	return out
}
