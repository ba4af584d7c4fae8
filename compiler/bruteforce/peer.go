// SPDX-License-Identifier: Apache-2.0

package bruteforce

import (
	"regexp"
	"slices"
	"strings"

	"mpol/compiler/program"
)

func (e *Evaluator) among(ps program.Peers, subject, other who) bool {
	is := func(p program.Peer) bool {
		switch p.Kind {
		case program.PeerAny:
			return true
		case program.PeerWorkloads, program.PeerHost, program.PeerWorld:
			return other.kind == strings.TrimSuffix(p.Kind.String(), "s")
		case program.PeerInternet:
			return e.public(other)
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

func (e *Evaluator) selects(s program.Subject, w who) bool {
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
