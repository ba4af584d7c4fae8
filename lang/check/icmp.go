// SPDX-License-Identifier: Apache-2.0

package check

import (
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// icmpFamilies warns of icmp without icmpv6 for peers that have IPv6 addresses.
func (c *checker) icmpFamilies(pkg string, b *Block) {
	var asking []*Rule
	for _, r := range b.Rules {
		if hasProto(r, program.ProtoICMP) && !ipv4Only(r.Peers.Include) {
			asking = append(asking, r)
		}
	}
	if len(asking) == 0 {
		return
	}
	var six coverage
	var covering [program.Pass + 1][]*Rule // by action
	for _, r := range b.Rules {
		if hasProto(r, program.ProtoICMPv6) || slices.ContainsFunc(r.L4, func(l program.L4) bool { return l.Any }) {
			six.add(r)
			covering[r.Action] = append(covering[r.Action], r)
		}
	}
	var all [program.Pass + 1]*together
	for action, rules := range covering {
		if len(rules) <= maxTogether {
			all[action] = c.together(pkg, rules)
		}
	}
	for _, r := range asking {
		t := all[r.Action]
		if !six.covers(c, r) && (t == nil || !t.hold(r, c.factsOfRule(pkg, r))) {
			c.warnAt(diag.ICMPFamily, r.L4Span, "icmp is IPv4 only, and no rule of the block covers icmpv6 for these peers", "write "+icmpBoth(r))
		}
	}
}

func icmpBoth(r *Rule) string {
	var texts []string
	for _, l := range r.L4 {
		texts = append(texts, l.String())
	}
	v6 := "icmpv6"
	if slices.Contains(r.L4, program.L4{Proto: program.ProtoICMP, First: 8 << 8, Last: 8<<8 | 255}) {
		v6 = "icmpv6/128"
	}
	return "on " + strings.Join(append(texts, v6), ", ")
}

func hasProto(r *Rule, proto uint8) bool {
	return slices.ContainsFunc(r.L4, func(l program.L4) bool { return !l.Any && l.Proto == proto })
}

func ipv4Only(ps []program.Peer) bool {
	return !slices.ContainsFunc(ps, func(q program.Peer) bool { return q.Kind != program.PeerPrefix || !q.Prefix.Addr().Is4() })
}

// coverage finds rules that have, as far as texts say, every peer of another rule that has an IPv6 address.
// The zero value is empty.
type coverage struct {
	rules map[coverKey][]peerTexts
	count map[coverKey]int // of rules by action and included peer alone
}

// coverKey is what a rule is found by: its action, a peer that it includes and the first that it excepts.
type coverKey struct {
	action           program.Action
	include, exclude string
}

// peerTexts are peers by their texts.
type peerTexts struct{ include, exclude map[string]bool }

func textsOf(p program.Peers) peerTexts {
	texts := func(ps []program.Peer) map[string]bool {
		out := make(map[string]bool, len(ps))
		for _, q := range ps {
			out[q.String()] = true
		}
		return out
	}
	return peerTexts{texts(p.Include), texts(p.Except)}
}

func (x *coverage) add(r *Rule) {
	if x.rules == nil {
		x.rules, x.count = map[coverKey][]peerTexts{}, map[coverKey]int{}
	}
	texts, exclude := textsOf(r.Peers), ""
	if len(r.Peers.Except) > 0 {
		exclude = r.Peers.Except[0].String()
	}
	for include := range texts.include {
		x.count[coverKey{action: r.Action, include: include}]++
		key := coverKey{r.Action, include, exclude}
		x.rules[key] = append(x.rules[key], texts)
	}
}

// covers reports whether a rule of x covers r: its peers, but IPv4 prefixes, are among those of the rule, and
// what the rule excepts is what r excepts.
func (x *coverage) covers(c *checker, r *Rule) bool {
	type want struct {
		text  string
		named bool // a domain, which any does not cover
	}
	var wanted []want
	for _, p := range r.Peers.Include {
		if !ipv4Only([]program.Peer{p}) {
			wanted = append(wanted, want{p.String(), p.Kind == program.PeerDomain})
		}
	}
	anyone, excluded := program.PeerAny.String(), textsOf(r.Peers).exclude
	among := func(o peerTexts) bool {
		c.compared++
		for text := range o.exclude {
			if !excluded[text] {
				return false
			}
		}
		return !slices.ContainsFunc(wanted, func(w want) bool { return !o.include[w.text] && (w.named || !o.include[anyone]) })
	}
	count := func(w want) int { return x.count[coverKey{action: r.Action, include: w.text}] }
	rarest := slices.MinFunc(wanted, func(a, b want) int { return count(a) - count(b) }).text
	excluded[""] = true // the rules without an except
	for exclude := range excluded {
		if slices.ContainsFunc(x.rules[coverKey{r.Action, rarest, exclude}], among) || slices.ContainsFunc(x.rules[coverKey{r.Action, anyone, exclude}], among) {
			return true
		}
	}
	return false
}
