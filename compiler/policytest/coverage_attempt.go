// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"mpol/compiler/program"
	"mpol/lang/check"
)

// attempt is a test that may be a witness.
type attempt struct {
	client, server string // what the ends are called
	subject, other party
	l4             program.L4
	request        request
	want           program.Action
	d              program.Direction
	at             bool // asserted of the half alone
	// block is where the workloads have their addresses, "" where the test states none.
	block string
}

// test returns the test and how it is written.
func (a attempt) test(by string) (*check.Test, *Witness) {
	t := &check.Test{Name: "witness"}
	w := &Witness{}
	line := check.Assertion{Want: a.want, L4: []program.L4{a.l4}, By: by}
	client, clientText := a.end(t, w, a.from(), a.client)
	server, serverText := a.end(t, w, a.to(), a.server)
	line.From, line.To = client, []check.End{server}
	w.Line = fmt.Sprintf("%s %s -> %s on %s", a.want, clientText, serverText, a.l4)
	if a.request.fill != nil {
		a.request.fill(&line)
		w.Line += " " + a.request.text
	}
	if by != "" {
		w.Line += " by " + by
	}
	if a.at {
		line.At = &a.d
		w.Line += " at " + a.d.String()
	}
	t.Lines = []check.Assertion{line}
	return t, w
}

func (a attempt) from() party {
	if a.d == program.Egress {
		return a.subject
	}
	return a.other
}

func (a attempt) to() party {
	if a.d == program.Egress {
		return a.other
	}
	return a.subject
}

// end adds what a party needs to be given and returns how a line names it.
func (a attempt) end(t *check.Test, w *Witness, p party, name string) (check.End, string) {
	switch {
	case p.host:
		return check.End{Host: true}, "host"
	case p.name != nil:
		t.Answers = append(t.Answers, check.Answer{Name: p.name, Addresses: []netip.Addr{p.outside}})
		w.Givens = append(w.Givens, fmt.Sprintf("given dns %q = %s", p.name, p.outside))
		if p.resolver != nil {
			at := netip.MustParseAddr("10.0.0.53")
			t.Parties = append(t.Parties, check.Party{Name: name, Labels: p.resolver, Addresses: []netip.Addr{at}})
			w.Givens = append(w.Givens, fmt.Sprintf("given %s = %s at %s", name, labelText(p.resolver), at))
		}
		return check.End{Name: p.name}, strconv.Quote(p.name.String())
	case p.outside.IsValid():
		return check.End{Addr: p.outside}, p.outside.String()
	}
	one, text := check.Party{Name: name, Labels: p.labels}, fmt.Sprintf("given %s = %s", name, labelText(p.labels))
	if a.block != "" {
		addr := netip.MustParsePrefix(a.block).Addr().Next()
		if name == a.server {
			addr = addr.Next()
		}
		one.Addresses = []netip.Addr{addr}
		text += " at " + addr.String()
	}
	t.Parties, w.Givens = append(t.Parties, one), append(w.Givens, text)
	return check.End{Party: name}, name
}

func labelText(labels []program.Label) string {
	if len(labels) == 0 {
		return "{ }"
	}
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = fmt.Sprintf("%s = %q", check.LabelKey(l.Key), l.Value)
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}
