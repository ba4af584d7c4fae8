// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"slices"

	"mpol/compiler/program"
)

// portDNS is where a subject with a domain peer or a dns part is asked what it asks.
const portDNS = 53

// half is one direction of a flow: its subject's search, and who is at the other end. The zero value
// does not exist on this node.
type half struct {
	*Evaluator
	search         *search
	steps          []step // of the search, with the rules that have a say at the flow's port
	flow           *Flow
	subject, other peer
	answers        []Answer // in egress
}

func (e *Evaluator) half(d program.Direction, subject, other peer, f *Flow) half {
	if !e.subject(subject) {
		return half{}
	}
	s := e.searchOf(d, subject.resident)
	h := half{Evaluator: e, search: s, steps: s.at(f.Proto, f.Port), flow: f, subject: subject, other: other}
	if d == program.Egress && other.world() && len(f.Names)+len(f.Answers) > 0 {
		h.answers = slices.Clone(f.Answers)
		for _, n := range f.Names {
			h.answers = append(h.answers, Answer{Name: n})
		}
	}
	return h
}

func (h *half) exists() bool { return h.Evaluator != nil }

// verdict finds the verdict on the flow or, if c has a kind, on what it holds.
func (h *half) verdict(c content) Half {
	if !h.exists() {
		return Half{}
	}
	if len(h.steps) == 0 {
		return Half{
			Exists: true, Allow: h.rules.Default == program.Allow,
			Rule: h.rules.DefaultRule, Reason: Ungoverned, Matching: []program.RuleID{h.rules.DefaultRule},
		}
	}
	v := h.walk(c)
	v.Exists, v.Governed, v.Rule = true, true, v.Matching[0]
	if !v.Allow {
		return v
	}
	kind, several := h.kind()
	if several || kind != program.L7None && kind != program.L7DNS && h.torn() {
		v.Allow, v.Reason = false, Conflict
		return v
	}
	v.L7 = kind
	return v
}

// walk goes through the tiers: deny beats allow, allow beats pass, pass beats the tier's default.
func (h *half) walk(c content) Half {
	for i := range h.steps {
		st := &h.steps[i]
		action, ids := h.strongest(st, c)
		switch {
		case len(ids) > 0 && action != program.Pass:
			return Half{Allow: action == program.Allow, Reason: ByRule, Matching: ids}
		case len(ids) == 0 && st.defaults != program.Pass:
			return byDefault(st.defaults, st.byDefault, c)
		}
	}
	if h.search.governed {
		return byDefault(program.Deny, h.search.ungranted, c)
	}
	return byDefault(h.rules.Default, h.rules.DefaultRule, c)
}

// strongest returns the strongest action of the rules of a tier that match, and those rules.
func (h *half) strongest(st *step, c content) (program.Action, []program.RuleID) {
	best := program.Pass
	var ids []program.RuleID
	for i := range st.rules {
		r := &st.rules[i]
		if r.Action > best || !h.matches(r, c) {
			continue
		}
		if r.Action < best {
			best, ids = r.Action, ids[:0]
		}
		ids = append(ids, r.ID)
	}
	return best, ids
}

// byDefault: no default lets a question for everything pass.
func byDefault(a program.Action, rule program.RuleID, c content) Half {
	allow := a == program.Allow && (c.question == nil || c.question.Type != typeANY)
	return Half{Allow: allow, Reason: ByDefault, Matching: []program.RuleID{rule}}
}

// each calls f with every rule that can be asked.
func (h *half) each(f func(*say)) {
	for i := range h.steps {
		for j := range h.steps[i].rules {
			f(&h.steps[i].rules[j])
		}
	}
}

// kind is the one that the flow must speak, or none: that of every rule with an L7 part that covers
// it, whatever its action. It is one of several where rules differ.
func (h *half) kind() (kind program.L7Kind, several bool) {
	if h.search.proxied && h.dns() {
		kind = program.L7DNS
	}
	add := func(k program.L7Kind) {
		several = several || kind != program.L7None && kind != k
		kind = k
	}
	h.each(func(r *say) {
		if r.L7 != nil && h.applies(r) {
			add(r.L7.Kind)
		}
		if h.implied(r) {
			add(program.L7DNS)
		}
	})
	return kind, several
}

// names reports whether a request of a rule that applies to the flow is one for which is holds.
func (h *half) names(is func(program.HTTPRequest) bool) bool {
	found := false
	h.each(func(r *say) {
		found = found || r.L7 != nil && slices.ContainsFunc(r.L7.HTTP, is) && h.applies(r)
	})
	return found
}

// applies reports whether r, whatever its L7 part, is about the flow.
func (h *half) applies(r *say) bool {
	return r.covers && (h.static(r) || h.opened(r, content{}))
}

// matches reports whether r speaks of the flow or, if c has a kind, of what it holds.
func (h *half) matches(r *say, c content) bool {
	switch {
	case c.kind == program.L7DNS:
		return h.matchesQuestion(r, c)
	case !r.covers:
		return h.implied(r)
	case r.Action == program.Deny:
		return h.static(r) && (r.L7 == nil || c.kind != program.L7None && c.matches(r.Rule))
	case c.kind == program.L7None || r.L7 == nil:
		return h.static(r) || h.opened(r, content{}) || h.implied(r)
	}
	return c.matches(r.Rule) && (h.static(r) || h.opened(r, c))
}

// matchesQuestion: a domain peer speaks of the questions for its names, an allow to the resolvers of
// the rule for the names that they are believed about, a deny to any server. Every other peer speaks
// of the server; one that is open by its name alone is asked nothing.
func (h *half) matchesQuestion(r *say, c content) bool {
	q := c.question
	if h.static(r) && r.covers && c.matches(r.Rule) {
		return true
	}
	if !named(r.Peers, q.Name) {
		return false
	}
	return r.Action == program.Deny || slices.Contains(addressTypes(), q.Type) &&
		h.resolver(r, func(s *program.Resolver) bool { return h.asks(s) && believed(s, q.Name) })
}

// static reports whether the other end is among the peers of r by what it is.
func (h *half) static(r *say) bool {
	if r.labels == nil {
		return h.Evaluator.static(r.Peers, h.other, h.subject)
	}
	return h.other.workload != nil && slices.ContainsFunc(r.labels, func(l uint32) bool { return slices.Contains(h.other.resident.labels, l) })
}

// dns reports whether the flow is one of questions.
func (h *half) dns() bool {
	return h.flow.Port == portDNS && (h.flow.Proto == program.ProtoUDP || h.flow.Proto == program.ProtoTCP)
}

// implied reports whether r allows questions to the flow's server because of a domain peer.
func (h *half) implied(r *say) bool { return h.resolver(r, h.asks) }

func (h *half) resolver(r *say, is func(*program.Resolver) bool) bool {
	for i := range r.Resolvers {
		if is(&r.Resolvers[i]) {
			return true
		}
	}
	return false
}

// asks reports whether the flow goes to s.
func (h *half) asks(s *program.Resolver) bool {
	if s.Node {
		return h.dns() && h.serves(s, h.other)
	}
	return covers(s.L4, h.flow.Proto, h.flow.Port) && h.serves(s, h.other)
}

// serves reports whether p is s.
func (h *half) serves(s *program.Resolver, p peer) bool {
	if s.Node {
		return slices.Contains(h.rules.Inventory.Resolvers, p.addr)
	}
	return h.Evaluator.static(s.Peers, p, h.subject)
}

// believed reports whether s is believed about n.
func believed(s *program.Resolver, n program.Name) bool {
	return len(s.For) == 0 || slices.ContainsFunc(s.For, func(p program.NamePattern) bool { return p.Matches(n) })
}
