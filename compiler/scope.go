// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// Ranks: four for each tier, the strongest first, then what no tier decides.
const (
	rankDeny    = 0
	rankAllow   = 1
	rankTierEnd = 3
	ranksATier  = 4
	rankDefault = 255
)

const (
	portDNS = 53
	// Types that a domain peer asks for: A, AAAA, SVCB, HTTPS.
	typeA, typeAAAA, typeSVCB, typeHTTPS = 1, 28, 64, 65
)

// scope is what a set of policies says in one direction: the content of one table.
type scope struct {
	direction program.Direction
	policies  []int // in file order
	tiers     []scopeTier
	rules     []*scopeRule // of the tiers, in file order
	fallback  program.Verdict
	proxied   bool // the DNS proxy judges the questions of the subjects
	key       string
	lineage   string

	lists   []program.Peers // what rules say of peers other than domains, by text
	classes []class
	peers   []program.NamePeer
	names   int // classes from here on are those of name sets
	table   *program.Table
}

// scopeTier is a tier that can be reached.
type scopeTier struct {
	index       int
	defaults    program.Action
	defaultRule program.RuleID
	rules       []*scopeRule
}

// scopeRule is a rule at its place in a scope.
type scopeRule struct {
	*program.Rule
	tier  int // index into Rules.Tiers
	order int // among the rules of the scope
	// list and resolvers are indexes into scope.lists, -1 for none.
	list, resolvers int
	// domains are the domain peers of an allow, each less what the rule takes away.
	domains []program.Domain
	peers   []int // the same, as indexes into scope.peers
}

// class is what no rule of a scope tells apart: the lists that hold or, for a name set, the peers.
type class struct {
	key   string
	holds []bool // by list; nil for a name set
	names []int  // indexes into scope.peers
	// internet: names may open some of its addresses.
	internet bool
}

// newScope collects the tiers of some policies, all of which can be reached.
func newScope(rules *program.Rules, d program.Direction, policies []int) *scope {
	s := &scope{direction: d, policies: policies, fallback: program.Verdict{
		Allow: rules.Default == program.Allow, Rank: rankDefault, Rule: rules.DefaultRule,
	}}
	for t, tier := range rules.Tiers {
		st := scopeTier{index: t, defaults: tier.Default}
		for _, p := range policies {
			b := rules.Policies[p].Block(d)
			if rules.Policies[p].Tier != t {
				continue
			}
			if st.defaultRule == 0 {
				st.defaultRule = b.Default
			}
			for i := range b.Rules {
				st.rules = append(st.rules, &scopeRule{Rule: &b.Rules[i], tier: t})
			}
		}
		if st.defaultRule == 0 {
			continue
		}
		slices.SortFunc(st.rules, func(a, b *scopeRule) int { return int(a.ID) - int(b.ID) })
		s.tiers = append(s.tiers, st)
		s.rules = append(s.rules, st.rules...)
		if tier.Default != program.Pass {
			s.fallback = program.Verdict{
				Allow: tier.Default == program.Allow, Rank: uint8(t*ranksATier + rankTierEnd), Rule: st.defaultRule,
			}
		}
	}
	slices.SortFunc(s.rules, func(a, b *scopeRule) int { return int(a.ID) - int(b.ID) })
	for i, r := range s.rules {
		r.order = i
	}
	s.collectPeers()
	s.name(rules)
	return s
}

// collectPeers finds the lists and the name peers, and numbers those of each rule.
func (s *scope) collectPeers() {
	list, peer := make(map[string]program.Peers), make(map[string]program.Domain)
	for _, r := range s.rules {
		for _, ps := range []program.Peers{staticPeers(r.Rule), resolverPeers(r.Rule)} {
			if len(ps.Include) > 0 {
				list[ps.String()] = ps
			}
		}
		if r.L7 != nil && r.L7.Kind == program.L7DNS || hasDomain(r.Peers) {
			s.proxied = s.proxied || s.direction == program.Egress
		}
		if r.Action == program.Allow {
			r.domains = domains(r.Rule)
		}
		for i := range r.domains {
			peer[r.domains[i].String()] = r.domains[i]
		}
	}
	lists, peers := sortedKeys(list), sortedKeys(peer)
	for _, k := range lists {
		s.lists = append(s.lists, list[k])
	}
	for _, k := range peers {
		s.peers = append(s.peers, program.NamePeer{Key: k, Domain: peer[k]})
	}
	number := func(ps program.Peers) int {
		if i, ok := slices.BinarySearch(lists, ps.String()); ok && len(ps.Include) > 0 {
			return i
		}
		return -1
	}
	for _, r := range s.rules {
		r.list, r.resolvers = number(staticPeers(r.Rule)), number(resolverPeers(r.Rule))
		for i := range r.domains {
			n, _ := slices.BinarySearch(peers, r.domains[i].String())
			r.peers = append(r.peers, n)
		}
	}
}

// staticPeers returns the peers of a rule other than domains.
func staticPeers(r *program.Rule) program.Peers {
	isDomain := func(p program.Peer) bool { return p.Kind == program.PeerDomain }
	return program.Peers{
		Include: slices.DeleteFunc(slices.Clone(r.Peers.Include), isDomain),
		Except:  slices.DeleteFunc(slices.Clone(r.Peers.Except), isDomain),
	}
}

// resolverPeers returns the resolvers of a rule as peers.
func resolverPeers(r *program.Rule) program.Peers {
	var ps program.Peers
	for _, a := range r.Resolvers {
		ps.Include = append(ps.Include, program.Peer{Kind: program.PeerPrefix, Prefix: single(a)})
	}
	return ps
}

// domains returns the domain peers of a rule, each less what the rule takes away.
func domains(r *program.Rule) []program.Domain {
	var except []program.NamePattern
	for _, p := range r.Peers.Except {
		if p.Kind == program.PeerDomain {
			except = append(except, p.Domain.Patterns...)
		}
	}
	var ds []program.Domain
	for _, p := range r.Peers.Include {
		if p.Kind == program.PeerDomain {
			d := program.Domain{Patterns: p.Domain.Patterns, Except: slices.Concat(p.Domain.Except, except)}
			ds = append(ds, d)
		}
	}
	return ds
}

// name makes the key and the lineage. All that decides an entry from a class is in the key: rules
// with their keys, which outlive the program, but no line and no RuleID. The lineage is in it too, so
// that a table has one: a policy without rules would change nothing else.
func (s *scope) name(rules *program.Rules) {
	type keyed struct {
		Key  string
		Rule program.Rule
	}
	type tier struct {
		Index    int
		Default  program.Action
		Rule     string
		Contents []keyed
	}
	names := make([]string, len(s.policies))
	for i, p := range s.policies {
		names[i] = rules.Policies[p].Name
	}
	s.lineage = s.direction.String() + " of " + strings.Join(names, ", ")
	content := struct {
		Lineage   string
		Direction program.Direction
		Tiers     []tier
		Fallback  program.Verdict
		Rule      string
	}{Lineage: s.lineage, Direction: s.direction, Fallback: s.fallback, Rule: rules.Source(s.fallback.Rule).Key}
	content.Fallback.Rule = 0
	for _, t := range s.tiers {
		k := tier{Index: t.index, Default: t.defaults, Rule: rules.Source(t.defaultRule).Key}
		for _, r := range t.rules {
			rule := *r.Rule
			rule.ID = 0
			k.Contents = append(k.Contents, keyed{rules.Source(r.ID).Key, rule})
		}
		content.Tiers = append(content.Tiers, k)
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("compiler: encode rules: %v", err)) // plain data: cannot fail
	}
	s.key = digest(string(text))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
