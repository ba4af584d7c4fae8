// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// Ranks, of 8 bits: four for each tier, the strongest first, then what no tier decides.
const (
	rankDeny      = 0
	rankAllow     = 1
	rankTierEnd   = 3
	ranksATier    = 4
	rankUngranted = program.MaxTiers*ranksATier + 2
	rankDefault   = rankUngranted + 1
)

// scope is what a set of policies says in one direction: the content of one table.
type scope struct {
	direction program.Direction
	policies  []*policy // in file order
	tiers     []scopeTier
	rules     []*scopeRule // of the tiers, in file order
	// end is the verdict behind the last tier.
	end     program.Verdict
	proxied bool         // the DNS proxy judges all questions of the subjects
	offered bool         // a dns part says what others may ask of the subjects
	owned   []*scopeRule // with a part for requests at the port that then is the DNS proxy's
	key     string
	lineage string
	// answerers are the resolvers of the agent's configuration.
	answerers []netip.Addr

	lists []program.Peers // what rules say of peers other than domains, by text
	texts []string        // of the lists
	found []*list         // the lists, nil until they are asked for
	peers []namePeer
	// asking are the protocols and ports at which questions are judged.
	asking []program.L4
	sets   []class           // the name sets, nil until they are asked for
	made   map[string]*class // of static classes, by the lists that hold

	classes []class // the first is that of strangers
	names   int     // classes from here on are those of name sets
	members []member
	whom    []member // those of classes with requests
	spent   budget   // by the classes and members that were made
	table   program.Table
	diags   diag.List // of the lowering
	number  int       // of the table

	ways ways // from or to the subjects

	// lowered and placed are the runs in which the table and its members were made, used the last that
	// needed it. In settled it changed last who the subjects are, in sorted which number a class has or
	// who is of one with requests.
	lowered, placed, used, settled, sorted int
}

// scopeTier is a tier that can be reached.
type scopeTier struct {
	index       int
	defaults    program.Action
	defaultRule string
	rules       []*scopeRule
	passes      bool // some rule passes on
}

// scopeRule is a rule at its place in a scope.
type scopeRule struct {
	*program.Rule
	policy *policy
	key    string // of its source
	tier   int    // index into Rules.Tiers
	order  int    // among the rules of the scope
	list   int    // index into scope.lists, -1 for none
	// domains are the domain peers of an allow, each less what the rule takes away; resolvers answer
	// for them.
	domains   []program.Domain
	resolvers []resolver
	names     []ruleName
}

// ruleName is what a learned address has to be of for a rule to hold.
type ruleName struct {
	domain program.Domain
	key    string // of the name peer
	peer   int    // index into scope.peers
	// host is what the Host or the server name of a request must be of or, for a pinned rule, sni.
	host program.Domain
	sni  program.NamePattern
}

// class is what no rule of a scope tells apart: the lists that hold or, for a name set, the peers.
type class struct {
	key      string
	holds    []bool // by list; nil for a name set
	names    []int  // indexes into scope.peers
	entries  []program.Entry
	requests []uint16 // ports at which an entry has an L7 kind of requests
	spent    budget
}

// newScope collects the tiers of some policies, all of which can be reached, for subjects with the
// given labels as far as "same" asks for them.
func newScope(rules *program.Rules, d program.Direction, policies []*policy, labels []program.Label, encoder *program.Encoder) *scope {
	s := &scope{direction: d, policies: policies, answerers: rules.Inventory.Resolvers}
	s.end = program.Verdict{Allow: rules.Default == program.Allow, Rank: rankDefault, Rule: keyDefault}
	byTier := make(map[int][]*policy)
	governed := false
	for _, p := range policies {
		byTier[p.Tier] = append(byTier[p.Tier], p)
		if b := p.content.Block(d); !governed && rules.Tiers[p.Tier].Default != program.Pass {
			governed = true
			s.end = program.Verdict{Rank: rankUngranted}
			if b.Ungranted != 0 {
				s.end.Rule = p.key(b.Ungranted)
			}
		}
	}
	for t := range rules.Tiers {
		if len(byTier[t]) == 0 {
			continue
		}
		first := byTier[t][0]
		st := scopeTier{index: t, defaults: rules.Tiers[t].Default, defaultRule: first.key(first.content.Block(d).Default)}
		for _, p := range byTier[t] {
			st.add(p, d, labels)
		}
		s.tiers = append(s.tiers, st)
		s.rules = append(s.rules, st.rules...)
	}
	slices.SortFunc(s.rules, inFileOrder)
	for i, r := range s.rules {
		r.order = i
	}
	s.collectPeers()
	s.name(labels, encoder)
	return s
}

// place says where r stands.
func (r *scopeRule) place() place { return r.policy.place(r.ID) }

func inFileOrder(a, b *scopeRule) int {
	return cmp.Or(cmp.Compare(a.policy.index, b.policy.index), cmp.Compare(a.ID, b.ID))
}

// add takes the rules of a policy but for those that only report.
func (t *scopeTier) add(p *policy, d program.Direction, labels []program.Label) {
	b := p.content.Block(d)
	for i := range b.Rules {
		r := &b.Rules[i]
		if r.Audit {
			continue
		}
		if hasSame(r.Peers) {
			copied := *r
			copied.Peers = program.Peers{Include: sameAs(r.Peers.Include, labels), Except: sameAs(r.Peers.Except, labels)}
			r = &copied
		}
		t.rules = append(t.rules, &scopeRule{Rule: r, policy: p, key: p.key(r.ID), tier: p.Tier})
		t.passes = t.passes || r.Action == program.Pass
	}
}

// fallback is the verdict on what no rule matches.
func (s *scope) fallback() program.Verdict {
	for i := range s.tiers {
		if s.tiers[i].defaults != program.Pass {
			return s.tiers[i].fallback()
		}
	}
	return s.end
}

// fallback is the tier's default as a verdict.
func (t *scopeTier) fallback() program.Verdict {
	return program.Verdict{
		Allow: t.defaults == program.Allow, Rank: uint8(t.index*ranksATier + rankTierEnd), Rule: t.defaultRule,
	}
}

// passes reports whether some rule of s passes on.
func (s *scope) passes() bool {
	return slices.ContainsFunc(s.tiers, func(t scopeTier) bool { return t.passes })
}

// collectPeers finds the lists and the name peers, and numbers those of each rule.
func (s *scope) collectPeers() {
	for _, r := range s.rules {
		r.resolvers = s.resolversOf(r.Rule)
		for _, v := range r.resolvers {
			s.asking = append(s.asking, v.l4...)
		}
		isDNS := r.L7 != nil && r.L7.Kind == program.L7DNS
		if s.direction == program.Egress {
			s.proxied = s.proxied || isDNS || hasDomain(r.Peers)
		}
		switch {
		case isDNS:
			s.offered = s.offered || s.direction == program.Ingress
			s.asking = append(s.asking, r.L4...)
		case r.L7 != nil && containsPort(r.L4, program.ProtoTCP, portDNS):
			s.owned = append(s.owned, r)
		}
		if r.Action == program.Allow {
			r.domains = domains(r.Rule)
		}
	}
	if s.proxied {
		s.asking = append(s.asking, questionsL4()...)
	}
	s.collectLists()
	s.collectNames()
}

// wantedList is where the number of a list is to be written.
type wantedList struct {
	text   string
	number *int
}

// collectLists finds the lists of who the peers and resolvers of the rules are.
func (s *scope) collectLists() {
	list := make(map[string]program.Peers)
	var wanted []wantedList
	want := func(ps program.Peers, number *int) {
		if *number = -1; len(ps.Include) > 0 {
			text := ps.String()
			list[text], wanted = ps, append(wanted, wantedList{text, number})
		}
	}
	for _, r := range s.rules {
		want(staticPeers(r.Rule), &r.list)
		for i := range r.resolvers {
			want(r.resolvers[i].peers, &r.resolvers[i].list)
		}
	}
	s.texts = sortedKeys(list)
	for _, k := range s.texts {
		s.lists = append(s.lists, list[k])
	}
	for _, w := range wanted {
		*w.number, _ = slices.BinarySearch(s.texts, w.text)
	}
}

// collectNames finds the name peers, after the lists.
func (s *scope) collectNames() {
	peer := make(map[string]namePeer)
	for _, r := range s.rules {
		r.names = ruleNames(r)
		for i := range r.names {
			n := newNamePeer(r.names[i].domain, r.resolvers)
			peer[n.key], r.names[i].key = n, n.key
		}
	}
	keys := sortedKeys(peer)
	for _, k := range keys {
		s.peers = append(s.peers, peer[k])
	}
	for _, r := range s.rules {
		for i := range r.names {
			r.names[i].peer, _ = slices.BinarySearch(keys, r.names[i].key)
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

// name makes the key and the lineage. All that decides an entry from a class is in the key: rules
// with their keys, which outlive the program, but no line and no RuleID. The lineage is in it too, so
// that a table has one: a policy without rules would change nothing else.
func (s *scope) name(labels []program.Label, encoder *program.Encoder) {
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
		names[i] = p.Name
	}
	s.lineage = s.direction.String() + " of " + strings.Join(names, ", ")
	if same := sameLabels(s.direction, s.policies, labels); len(same) > 0 {
		s.lineage += " same " + labelsText(same)
	}
	content := struct {
		Lineage   string
		Direction program.Direction
		Tiers     []tier
		End       program.Verdict
		Resolvers []netip.Addr
	}{Lineage: s.lineage, Direction: s.direction, End: s.end}
	for _, t := range s.tiers {
		k := tier{Index: t.index, Default: t.defaults, Rule: t.defaultRule}
		for _, r := range t.rules {
			rule := *r.Rule
			rule.ID = 0
			k.Contents = append(k.Contents, keyed{r.key, rule})
			if slices.ContainsFunc(r.Resolvers, func(v program.Resolver) bool { return v.Node }) {
				content.Resolvers = s.answerers
			}
		}
		content.Tiers = append(content.Tiers, k)
	}
	s.key = digest(string(encoder.Append(nil, &content)))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
