// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// brute judges flows straight by a module, as the language page says it, with nothing prepared.
type brute struct {
	m    *check.Module
	inv  program.Inventory
	bare bool // audit marks removed
}

// who is an end: labels of a workload, or host, or world.
type who struct {
	name, kind string // workload, host, world
	labels     map[string]string
	local      bool
	addr       netip.Addr
}

func (b brute) who(e verdict.End) who {
	w := who{kind: "world", addr: e.Addr}
	if slices.Contains(b.inv.Node, e.Addr) || e.Addr.IsLoopback() {
		w.kind = "host"
	}
	for _, x := range b.inv.Workloads {
		if x.Name == e.Workload || e.Workload == "" && slices.Contains(x.Addresses, e.Addr) {
			w = who{name: x.Name, kind: "workload", labels: map[string]string{}, local: x.Interface != "" || x.Cgroup != "", addr: e.Addr}
			for _, l := range x.Labels {
				w.labels[l.Key] = l.Value
			}
		}
	}
	if w.kind == "host" {
		for _, p := range b.m.Policies {
			w.local = w.local || p.Subject.Host && (b.counts(p, p.Egress) || b.counts(p, p.Ingress))
		}
	}
	return w
}

// counts reports whether a block exists for verdicts.
func (b brute) counts(p *check.Policy, block *check.Block) bool {
	if block == nil || p.Audit && !b.bare {
		return false
	}
	for _, r := range block.Rules {
		if b.bare || !r.Audit {
			return true
		}
	}
	return len(block.Rules) == 0
}

// bruteHalf is what one direction says; row: some policy has it for the subject.
type bruteHalf struct {
	exists, allow, conflict bool
	row                     bool
	kind                    program.L7Kind
	rule                    string
	names                   bool // CONNECT or the upgrade of the request
}

// request is what is judged: of no kind the flow itself.
type request struct {
	kind program.L7Kind
	path string
}

func (b brute) half(d program.Direction, subject, other who, f verdict.Flow, q request) bruteHalf {
	if !subject.local {
		return bruteHalf{}
	}
	def := "default"
	h := bruteHalf{exists: true, allow: b.m.Default.Action == program.Allow, rule: def}
	governed := ""
	over, asked := false, false
	var all []*check.Rule
	for t, tier := range b.m.Tiers {
		var rules []*check.Rule
		name := ""
		for _, p := range b.m.Policies {
			block := []*check.Block{p.Egress, p.Ingress}[d]
			if p.Tier != t || !b.counts(p, block) || !b.selects(p.Subject, subject) {
				continue
			}
			name = cmp.Or(name, p.Name)
			if tier.Default != program.Pass && governed == "" {
				governed = "ungranted"
			}
			for _, r := range block.Rules {
				if b.bare || !r.Audit {
					r := *r
					r.Label = p.Name + "." + r.Label
					if len(r.Resolvers) == 0 {
						r.Resolvers = block.Resolvers
					}
					rules = append(rules, &r)
				}
			}
		}
		if name == "" || asked {
			continue
		}
		h.row = true
		all = append(all, rules...)
		asked = tier.Default != program.Pass && !slices.ContainsFunc(rules, func(r *check.Rule) bool { return r.Action == program.Pass })
		matching := func(a program.Action) string {
			for _, r := range rules {
				if r.Action == a && b.speaks(r, subject, other, f, q) {
					return r.Label
				}
			}
			return ""
		}
		deny, allow, pass := matching(program.Deny), matching(program.Allow), matching(program.Pass)
		switch {
		case over:
		case deny != "":
			over, h.allow, h.rule = true, false, deny
		case allow != "":
			over, h.allow, h.rule = true, true, allow
		case pass == "" && tier.Default != program.Pass:
			over, h.allow, h.rule = true, tier.Default == program.Allow, tier.Name+".default"
		}
	}
	if !over && governed != "" {
		h.allow, h.rule = false, governed
	}
	if q.kind == program.L7DNS && f.Question.Type == 255 && (h.rule == def || strings.HasSuffix(h.rule, ".default")) {
		h.allow = false
	}
	b.speech(&h, d, subject, other, f, all)
	return h
}

// speech finds what the flow must speak: of each rule with an L7 part that is about it, and of the
// subject's questions.
func (b brute) speech(h *bruteHalf, d program.Direction, subject, other who, f verdict.Flow, all []*check.Rule) {
	kinds := map[program.L7Kind]bool{}
	for _, r := range all {
		about := r.L7 != nil && onL4(r.L4, f) && (b.among(r.Peers, subject, other) || len(b.doors(r, other, subject, f)) > 0)
		if about {
			kinds[r.L7.Kind] = true
		}
		for _, x := range lines(r) {
			if f.HTTP != nil && about {
				h.names = h.names || strings.EqualFold(f.HTTP.Method, "CONNECT") && slices.Contains(x.Methods, "CONNECT") ||
					f.HTTP.Upgrade != "" && x.Upgrade == f.HTTP.Upgrade
			}
		}
		domains := hasDomainPeer(r)
		if r.Action == program.Allow && domains && len(b.askable(r, subject, other, f)) > 0 ||
			d == program.Egress && f.Port == 53 && (f.Proto == 6 || f.Proto == 17) && (domains || r.L7 != nil && r.L7.Kind == program.L7DNS) {
			kinds[program.L7DNS] = true
		}
	}
	if d == program.Egress && f.Port == 53 && (f.Proto == 6 || f.Proto == 17) {
		for _, r := range all {
			if hasDomainPeer(r) {
				kinds[program.L7DNS] = true
			}
		}
	}
	if len(kinds) > 1 {
		h.conflict = true
	}
	for k := range kinds {
		h.kind = k
	}
}

func lines(r *check.Rule) []program.HTTPRequest {
	if r.L7 == nil {
		return nil
	}
	return r.L7.HTTP
}

func onL4(l4 []program.L4, f verdict.Flow) bool {
	for _, l := range l4 {
		if l.Any || l.Proto == f.Proto && f.Port >= l.First && f.Port <= l.Last {
			return true
		}
	}
	return false
}

// askable are the resolvers of a rule to which a flow goes.
func (b brute) askable(r *check.Rule, subject, other who, f verdict.Flow) []program.Resolver {
	rs := r.Resolvers
	if len(rs) == 0 {
		rs = []program.Resolver{{Node: true}}
	}
	var out []program.Resolver
	for _, s := range rs {
		node := s.Node && slices.Contains(b.inv.Resolvers, other.addr) && f.Port == 53 && (f.Proto == 6 || f.Proto == 17)
		if node || !s.Node && onL4(s.L4, f) && b.among(s.Peers, subject, other) {
			out = append(out, s)
		}
	}
	return out
}

// speaks reports whether a rule matches a flow or request.
func (b brute) speaks(r *check.Rule, subject, other who, f verdict.Flow, q request) bool {
	on, is := onL4(r.L4, f), b.among(r.Peers, subject, other)
	deny := r.Action == program.Deny
	if q.kind == program.L7DNS {
		n, t := f.Question.Name, f.Question.Type
		if on && is && (r.L7 == nil && (r.Action != program.Allow || t != 255) || r.L7 != nil && (r.L7.Kind == q.kind && asksOf(r, n, t) || r.L7.Kind != q.kind && deny)) {
			return true
		}
		if !inPeers(r.Peers, n) {
			return false
		}
		for _, s := range b.askable(r, subject, other, f) {
			if r.Action == program.Allow && slices.Contains([]uint16{1, 28, 64, 65}, t) && believes(s, n) {
				return true
			}
		}
		return deny
	}
	if r.Action == program.Allow && hasDomainPeer(r) && q.kind == program.L7None && len(b.askable(r, subject, other, f)) > 0 {
		return true
	}
	switch {
	case !on:
		return false
	case r.L7 == nil:
		return is || !deny && len(b.doors(r, other, subject, f)) > 0
	case q.kind == program.L7None:
		return !deny && (is || len(b.doors(r, other, subject, f)) > 0)
	case r.L7.Kind != q.kind:
		return deny && is
	case is && !r.L7.Pinned:
		return bruteContent(r, f, q)
	}
	for _, door := range b.doors(r, other, subject, f) {
		host, ok := bruteName(f)
		if !deny && ok && (r.L7.Pinned && like(door.pattern, host) || !r.L7.Pinned && inDomain(door.domain, host) && !taken(r.Peers, host) && bruteContent(r, f, q)) {
			return true
		}
	}
	return false
}

func believes(s program.Resolver, n program.Name) bool {
	return len(s.For) == 0 || slices.ContainsFunc(s.For, func(p program.NamePattern) bool { return like(p, n) })
}

// door is a pattern by which a learned name opens an address.
type door struct {
	pattern program.NamePattern
	domain  *program.Domain
}

func (b brute) doors(r *check.Rule, other, subject who, f verdict.Flow) (out []door) {
	if r.Action != program.Allow || other.kind != "world" || subject.kind == "" {
		return nil
	}
	answers := slices.Clone(f.Answers)
	for _, n := range f.Names {
		answers = append(answers, verdict.Answer{Name: n})
	}
	rs := r.Resolvers
	if len(rs) == 0 {
		rs = []program.Resolver{{Node: true}}
	}
	for _, p := range r.Peers.Include {
		if p.Kind != program.PeerDomain || !b.public(other) && !slices.ContainsFunc(p.Domain.Private, func(q netip.Prefix) bool { return q.Contains(other.addr) }) {
			continue
		}
		for _, a := range answers {
			from := b.who(a.Server)
			trusted := a.Server == verdict.End{} || slices.ContainsFunc(rs, func(s program.Resolver) bool {
				return believes(s, a.Name) && (s.Node && slices.Contains(b.inv.Resolvers, a.Server.Addr) || !s.Node && b.among(s.Peers, subject, from))
			})
			if !trusted || taken(r.Peers, a.Name) || outOfDomain(p.Domain, a.Name) {
				continue
			}
			for _, x := range p.Domain.Patterns {
				if like(x, a.Name) {
					out = append(out, door{x, p.Domain})
				}
			}
			for _, x := range p.Domain.Aliases {
				for _, via := range a.Via {
					if like(x, via) {
						out = append(out, door{x, p.Domain})
					}
				}
			}
		}
	}
	return out
}

func (b brute) public(w who) bool {
	return w.kind == "world" && !slices.ContainsFunc(program.SpecialPurpose(), func(p netip.Prefix) bool { return p.Contains(w.addr) })
}

// like compares a name with a pattern as text.
func like(p program.NamePattern, n program.Name) bool {
	e := regexp.QuoteMeta(string(p))
	e = strings.ReplaceAll(e, `\*\*`, `[^.]+(\.[^.]+)*`)
	whole := regexp.MustCompile(`(^|\.)\\\*(\\\.|$)`)
	e = whole.ReplaceAllString(e, `$1[^.]+$2`)
	e = strings.ReplaceAll(e, `\*`, `[^.]*`)
	return regexp.MustCompile("^" + e + "$").MatchString(n.String())
}

func inDomain(d *program.Domain, n program.Name) bool {
	return slices.ContainsFunc(d.Patterns, func(p program.NamePattern) bool { return like(p, n) }) && !outOfDomain(d, n)
}

func outOfDomain(d *program.Domain, n program.Name) bool {
	return slices.ContainsFunc(d.Except, func(p program.NamePattern) bool { return like(p, n) }) ||
		slices.ContainsFunc(d.Less, func(e program.Domain) bool { return inDomain(&e, n) })
}

func taken(ps program.Peers, n program.Name) bool {
	return slices.ContainsFunc(ps.Except, func(p program.Peer) bool { return p.Kind == program.PeerDomain && inDomain(p.Domain, n) })
}

func inPeers(ps program.Peers, n program.Name) bool {
	return !taken(ps, n) && slices.ContainsFunc(ps.Include, func(p program.Peer) bool { return p.Kind == program.PeerDomain && inDomain(p.Domain, n) })
}

func (b brute) among(ps program.Peers, subject, other who) bool {
	is := func(p program.Peer) bool {
		switch p.Kind {
		case program.PeerAny:
			return true
		case program.PeerWorkloads, program.PeerHost, program.PeerWorld:
			return other.kind == strings.TrimSuffix(p.Kind.String(), "s")
		case program.PeerInternet:
			return b.public(other)
		case program.PeerSelector:
			return other.kind == "workload" && holds(p.Selector, other.labels)
		case program.PeerSame:
			v, ok := other.labels[p.Key]
			x, has := subject.labels[p.Key]
			return ok && has && v == x
		case program.PeerPrefix:
			return p.Prefix.Contains(other.addr)
		}
		return false
	}
	return slices.ContainsFunc(ps.Include, is) && !slices.ContainsFunc(ps.Except, is)
}

func (b brute) selects(s program.Subject, w who) bool {
	return w.kind == "host" && s.Host || w.kind == "workload" && (s.All || s.Selector != nil && holds(s.Selector, w.labels))
}

func holds(s *program.Selector, labels map[string]string) bool {
	v, has := labels[s.Key]
	every, some := true, false
	for _, a := range s.Args {
		every, some = every && holds(a, labels), some || holds(a, labels)
	}
	return map[program.SelectorOp]bool{
		program.OpIn: has && slices.Contains(s.Values, v), program.OpHas: has, program.OpAnd: every, program.OpOr: some, program.OpNot: !every,
	}[s.Op]
}
