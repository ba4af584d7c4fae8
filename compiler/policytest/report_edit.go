// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Edits returns changes of one rule, port, peer or pattern each that may make a failed line pass, the
// smallest first. None of them has been tried: whoever shows one applies it and runs the tests.
func (r *Report) Edits(m *check.Module, t *check.Test, l *check.Assertion, res Result) []Edit {
	if res.Status != Fail {
		return nil
	}
	e := editor{text: r.Text, module: m, test: t, line: l, result: res}
	for _, d := range []program.Direction{program.Egress, program.Ingress} {
		h := half(res.Got, d)
		switch {
		case !h.Exists || h.Allow == (l.Want == program.Allow):
		case l.Want == program.Allow:
			e.widen(d, h)
		default:
			e.narrow(d, h)
		}
	}
	return e.out
}

// editor collects edits for one line.
type editor struct {
	text   func(file string) []byte
	module *check.Module
	test   *check.Test
	line   *check.Assertion
	result Result
	out    []Edit
}

func (e *editor) insert(at diag.Span, text, says string) {
	at.Start = at.End
	e.out = append(e.out, Edit{Span: at, Text: text, Says: says})
}

// find returns the rule with an id, its block and its policy.
func (e *editor) find(id program.RuleID) (*check.Policy, *check.Block, *check.Rule) {
	s := e.result.Judge.Rules().Source(id)
	for _, p := range e.module.Policies {
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				if r.PlaceSpan.File == s.File && r.PlaceSpan.Start.Line == s.Line && r.PlaceSpan.Start.Column == s.Column {
					return p, b, r
				}
			}
		}
	}
	return nil, nil, nil
}

// widen makes a rule speak of the flow too, adds one, or takes away a deny.
func (e *editor) widen(d program.Direction, h verdict.Half) {
	e.takeAway(d, h)
	for _, step := range Walk(e.result.Judge, *e.result.Flow, d) {
		for _, ps := range step.Policies {
			for _, rs := range ps.Rules {
				p, _, r := e.find(rs.Rule.ID)
				if r == nil || r.Action != program.Allow || rs.Matches {
					continue
				}
				name := e.result.Judge.Rules().Source(rs.Rule.ID).Name
				switch {
				case rs.Port && rs.Speaks(e.result.Flow.Proto):
					e.insert(r.L4Span, ", "+e.port(), fmt.Sprintf("let %s speak of %s too", name, e.port()))
				case rs.Content:
					e.insertRequest(r, name)
				case rs.Peer && !slices.ContainsFunc(r.Terms, func(t check.Term) bool { return t.Except }):
					peer := e.peer(p, d)
					e.insert(r.PeersSpan, ", "+peer, fmt.Sprintf("let %s speak of %s too", name, peer))
				}
			}
		}
		for _, ps := range step.Policies {
			e.addRule(ps, d, program.Allow)
		}
	}
}

// narrow keeps the rule that allows from speaking of the flow, denies it, or takes the rule away.
func (e *editor) narrow(d program.Direction, h verdict.Half) {
	for _, id := range h.Matching {
		p, _, r := e.find(id)
		if r == nil || slices.ContainsFunc(r.Terms, func(t check.Term) bool { return t.Except }) {
			continue
		}
		peer := e.peer(p, d)
		e.insert(r.PeersSpan, " except "+peer, fmt.Sprintf("except %s from %s", peer, e.result.Judge.Rules().Source(id).Name))
	}
	for _, step := range Walk(e.result.Judge, *e.result.Flow, d) {
		for _, ps := range step.Policies {
			e.addRule(ps, d, program.Deny)
		}
	}
	e.takeAway(d, h)
}

// takeAway removes the rule that decided, if it is alone.
func (e *editor) takeAway(d program.Direction, h verdict.Half) {
	if h.Reason != verdict.ByRule || len(h.Matching) != 1 {
		return
	}
	if _, _, r := e.find(h.Matching[0]); r != nil {
		e.out = append(e.out, Edit{Span: e.lines(r.Span), Says: "take " + e.result.Judge.Rules().Source(h.Matching[0]).Name + " away"})
	}
}

// lines widens a span to whole lines when nothing else stands on them.
func (e *editor) lines(s diag.Span) diag.Span {
	file := string(e.text(s.File))
	if s.End.Offset >= len(file) {
		return s
	}
	start := strings.LastIndexByte(file[:s.Start.Offset], '\n') + 1
	if strings.TrimSpace(file[start:s.Start.Offset]) != "" || file[s.End.Offset] != '\n' {
		return s
	}
	s.Start = diag.Pos{Line: s.Start.Line, Column: 1, Offset: start}
	s.End = diag.Pos{Line: s.End.Line + 1, Column: 1, Offset: s.End.Offset + 1}
	return s
}

// addRule adds a rule for the flow behind the last of a block.
func (e *editor) addRule(ps PolicyStep, d program.Direction, a program.Action) {
	if len(ps.Rules) == 0 || ps.Audit {
		return
	}
	p, b, _ := e.find(ps.Rules[len(ps.Rules)-1].Rule.ID)
	if b == nil || len(b.Rules) == 0 {
		return
	}
	last := b.Rules[len(b.Rules)-1]
	word := "to"
	if d == program.Ingress {
		word = "from"
	}
	text := fmt.Sprintf("%s %s %s on %s%s", a, word, e.peer(p, d), e.port(), e.request())
	before := " "
	if last.Span.Start.Line != b.Span.Start.Line {
		before = "\n" + strings.Repeat(" ", last.Span.Start.Column-1)
	}
	e.insert(last.Span, before+text, fmt.Sprintf("add a rule to the %s of %s", d, ps.Name))
}

// insertRequest adds the line's request to the L7 part of a rule, before its closing brace.
func (e *editor) insertRequest(r *check.Rule, name string) {
	kind, text := e.content()
	if text == "" || r.L7 == nil || kind != r.L7.Kind || r.L7.Pinned || len(r.L7.GRPC) > 0 != (e.line.GRPC != nil) {
		return
	}
	at, file := r.L7Span, e.text(r.L7Span.File)
	if at.End.Offset > len(file) {
		return
	}
	inside := strings.TrimRight(string(file[at.Start.Offset:at.End.Offset-1]), " ")
	if strings.HasSuffix(inside, "\n") || strings.HasSuffix(inside, ",") {
		return // a list over several lines, or with a last comma
	}
	back := at.End.Offset - at.Start.Offset - len(inside)
	at.End.Offset -= back
	at.End.Column -= back
	e.insert(at, ", "+text, fmt.Sprintf("let %s speak of %s too", name, text))
}

// content returns the request of the line as an L7 part says it.
func (e *editor) content() (program.L7Kind, string) {
	l := e.line
	switch {
	case l.HTTP != nil && !l.HTTP.Any:
		path, ok := verdict.JudgePath(l.HTTP.Path)
		if !ok {
			return program.L7None, ""
		}
		return program.L7HTTP, fmt.Sprintf("%s %q", l.HTTP.Method, path)
	case l.GRPC != nil:
		return program.L7HTTP, fmt.Sprintf("%q", l.GRPC.Service+"/"+l.GRPC.Method)
	case l.SNI != "":
		return program.L7TLS, fmt.Sprintf("%q", l.SNI)
	}
	return program.L7None, ""
}

// request returns an L7 part for the line's request, with a blank before it.
func (e *editor) request() string {
	_, text := e.content()
	switch {
	case text == "":
		return ""
	case e.line.GRPC != nil:
		return " grpc { " + text + " }"
	case e.line.SNI != "":
		return " tls { sni " + text + " }"
	}
	return " http { " + text + " }"
}

func (e *editor) port() string {
	f := e.result.Flow
	for _, l := range e.line.L4 {
		if l.Contains(f.Proto, f.Port) && !l.Any {
			return fmt.Sprint(l)
		}
	}
	return fmt.Sprint(program.L4{Proto: f.Proto, First: f.Port, Last: f.Port})
}

// peer says in the words of a policy's package who the other end of a half is.
func (e *editor) peer(p *check.Policy, d program.Direction) string {
	end := e.line.From
	if d == program.Egress && len(e.line.To) > 0 {
		end = e.line.To[0]
	}
	switch {
	case end.Host:
		return "host"
	case end.Name != nil:
		return fmt.Sprintf("%q", end.Name.String())
	case end.Party == "":
		return end.Addr.String()
	}
	for _, party := range e.test.Parties {
		switch {
		case party.Name != end.Party:
		case party.Outside && len(party.Addresses) > 0:
			return party.Addresses[0].String()
		default:
			return e.workload(p, party.Labels)
		}
	}
	return end.Party
}

// workload names a workload of the package that has the labels, or else says its labels.
func (e *editor) workload(p *check.Policy, labels []program.Label) string {
	w := program.Workload{Labels: labels}
	for _, q := range e.module.Policies {
		named := q.Subject.Selector != nil && !strings.ContainsAny(q.SubjectText, ` ("`)
		if named && q.Package == p.Package && Meets(q.Subject.Selector, &w) {
			return q.SubjectText
		}
	}
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = labelText([]program.Label{l})
		texts[i] = strings.TrimSuffix(strings.TrimPrefix(texts[i], "{ "), " }")
	}
	if len(texts) == 0 {
		return "workloads"
	}
	return "(" + strings.Join(texts, " and ") + ")"
}
