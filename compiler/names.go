// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// nameSets adds a class for each combination of name peers that one answer may give an address to. It
// returns false as soon as that is more than a node holds.
func (s *scope) nameSets(limits *program.Limits) bool {
	if !s.proxied {
		return true
	}
	s.table.Names = &program.Names{Peers: s.namePeers(), Sets: []program.NameSet{}}
	if s.sets == nil {
		s.findSets()
	}
	if len(s.sets) > program.MaxNameSets {
		s.tooManyNames()
		return true
	}
	for i := range s.sets {
		s.table.Names.Sets = append(s.table.Names.Sets, program.NameSet{Peers: s.sets[i].names, Class: len(s.classes)})
		if !s.spend(&s.sets[i], limits) {
			return false
		}
	}
	return true
}

// namePeers are the name peers as the table has them. Where nobody is a resolver of one, nobody is
// believed.
func (s *scope) namePeers() []program.NamePeer {
	out := make([]program.NamePeer, len(s.peers))
	for i, p := range s.peers {
		out[i] = program.NamePeer{Key: p.key, Domain: p.domain, Servers: []program.NameServer{}}
		for _, v := range p.resolvers {
			if classes, some := s.holding(v.list); some {
				out[i].Servers = append(out[i].Servers, program.NameServer{Classes: classes, For: v.about})
			}
		}
	}
	return out
}

// findSets takes too many combinations rather than too few: every set of peers of which each two go
// together. It ends with the first that is too many.
func (s *scope) findSets() {
	overlap := make([][]bool, len(s.peers))
	for i := range s.peers {
		overlap[i] = make([]bool, len(s.peers))
		for j := range s.peers {
			overlap[i][j] = together(&s.peers[i].domain, &s.peers[j].domain)
		}
	}
	s.sets = []class{}
	var grow func(set []int, key string, from int) bool
	grow = func(set []int, key string, from int) bool {
		for i := from; i < len(s.peers); i++ {
			if slices.ContainsFunc(set, func(j int) bool { return !overlap[i][j] }) {
				continue
			}
			next := class{key: key + s.peers[i].key, names: append(slices.Clone(set), i)}
			s.sets = append(s.sets, next)
			if len(s.sets) > program.MaxNameSets || !grow(next.names, next.key+" & ", i+1) {
				return false
			}
		}
		return true
	}
	grow(nil, "name of ", 0)
}

func (s *scope) tooManyNames() {
	last := s.rules[0]
	for _, r := range s.rules {
		if len(r.domains) > 0 {
			last = r
		}
	}
	s.diags.Add(diag.Diagnostic{
		Code: CodeNameSets, Span: last.place().rule.PeersSpan,
		Summary: fmt.Sprintf("the domain peers of the %s overlap in more than %s combinations", s.lineage, thousands(program.MaxNameSets)),
		Help:    "join patterns of rules with the same ports in one `domains` name",
	})
}

// domains returns the domain peers of a rule, each less what the rule takes away.
func domains(r *program.Rule) []program.Domain {
	var except []program.NamePattern
	var less []program.Domain
	for _, p := range r.Peers.Except {
		switch {
		case p.Kind != program.PeerDomain:
		case len(p.Domain.Except)+len(p.Domain.Less) > 0:
			less = append(less, *p.Domain)
		default:
			except = append(except, p.Domain.Patterns...)
		}
	}
	var ds []program.Domain
	for _, p := range r.Peers.Include {
		if p.Kind == program.PeerDomain {
			d := *p.Domain
			d.Except, d.Less = slices.Concat(d.Except, except), slices.Concat(d.Less, less)
			ds = append(ds, d)
		}
	}
	return ds
}

// ruleNames returns what addresses have to be learned by: a domain of the rule or, where the server
// name is pinned to what gave the address, each of its patterns by itself.
func ruleNames(r *scopeRule) []ruleName {
	var out []ruleName
	for _, d := range r.domains {
		if r.L7 == nil || !r.L7.Pinned {
			host := d
			host.Private, host.Aliases = nil, nil
			out = append(out, ruleName{domain: d, host: host})
			continue
		}
		all := slices.Concat(d.Patterns, d.Aliases)
		slices.Sort(all)
		for _, p := range slices.Compact(all) {
			one := d
			one.Patterns, one.Aliases = only(d.Patterns, p), only(d.Aliases, p)
			out = append(out, ruleName{domain: one, sni: p})
		}
	}
	return out
}

// only returns p if it is one of ps.
func only(ps []program.NamePattern, p program.NamePattern) []program.NamePattern {
	if !slices.Contains(ps, p) {
		return nil
	}
	return []program.NamePattern{p}
}

// together reports whether one answer may be of both. What a domain takes away is left aside, and an
// alias may stand behind every name: the answer may be yes where it is no, never the other way round.
func together(a, b *program.Domain) bool {
	if len(a.Aliases)+len(b.Aliases) > 0 {
		return true
	}
	for _, p := range a.Patterns {
		for _, q := range b.Patterns {
			if p.Meets(q) {
				return true
			}
		}
	}
	return false
}
