// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
)

// TestCoverIsTrue: what is covered is what by the evaluator over the Module matters: a rule, on which a
// line rests; a line of its L7 part, on which alone it still does; a comparison that taken as true or as
// false changes a line; a rule that passes, without which one changes.
func TestCoverIsTrue(t *testing.T) {
	keys, counted := []string{"rule true", "rule false", "request true", "request false", "comparison true", "comparison false"}, map[string]int{}
	rare := func(key string) bool { return counted[key] < 5 }
	for round := 0; round < 20 && !t.Failed() && slices.ContainsFunc(keys, rare); round++ {
		rapid.Check(t, func(t *rapid.T) { coverIsTrue(t, counted) })
	}
	for _, key := range keys {
		t.Logf("%d of %s", counted[key], key)
		if rare(key) {
			t.Errorf("%d of %s, want some", counted[key], key)
		}
	}
}

// coverIsTrue draws policies and tests, and counts what is covered and what is not.
func coverIsTrue(t *rapid.T, counted map[string]int) {
	text := drawPolicies(t)
	text += drawTests(t, drawn(t, text))
	m := drawn(t, text)
	results := policytest.Run(m, policytest.Options{})
	b := bruteCover{brute{m, inventoryOf(m.Tests)}, m.Tests}
	if err := b.agrees(results); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	c := policytest.Cover(m, results)
	for what, list := range map[string][]policytest.Covered{"rule": c.Rules, "request": c.Requests, "comparison": c.Atoms} {
		want := map[string]map[string]bool{"rule": b.coveredRules(), "request": b.coveredRequests(), "comparison": b.coveredAtoms()}[what]
		if len(want) != len(list) {
			t.Fatalf("%s\n%d %ss, want %d: %v", text, len(list), what, len(want), want)
		}
		for _, it := range list {
			key := it.Span.String() + " " + it.Name
			if covered, known := want[key]; !known || covered != it.Covered {
				t.Fatalf("%s\n%s %s is covered: %v, want %v (known: %v)", text, what, key, it.Covered, covered, known)
			}
			counted[fmt.Sprintf("%s %v", what, it.Covered)]++
		}
	}
}

// cast are those of the small universe in a test, each at an address of its own.
func cast() map[string]who {
	out := map[string]who{}
	for i, w := range everybody() {
		switch {
		case w.labels == "host":
		case w.labels == "-":
			out[w.addr] = w
		default:
			out[fmt.Sprintf("w%d", i)] = who{w.labels, fmt.Sprintf("10.1.0.%d", i+1)}
		}
	}
	return out
}

// drawTests draws tests of a few stated lines, of which most hold.
func drawTests(t *rapid.T, m *check.Module) string {
	all := cast()
	text := ""
	for i := range rapid.IntRange(1, 3).Draw(t, "tests") {
		names := rapid.Permutation([]string{"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"}).Draw(t, "parties")[:rapid.IntRange(2, 6).Draw(t, "party count")]
		text += fmt.Sprintf("\ntest \"t%d\" {\n", i)
		for _, n := range names {
			text += fmt.Sprintf("  given %s = { %s } at %s\n", n, pairs(all[n].labels), all[n].addr)
		}
		ends := append(names, "198.51.100.77", "203.0.113.1", "203.0.113.7", "10.0.0.1")
		for range rapid.IntRange(4, 12).Draw(t, "lines") {
			from, to := rapid.SampledFrom(ends).Draw(t, "from"), rapid.SampledFrom(names).Draw(t, "to")
			if rapid.Bool().Draw(t, "turned") {
				from, to = to, from
			}
			if from == to {
				continue
			}
			text += drawLine(t, m, from, to)
		}
		text += fmt.Sprintf("  deny 198.51.100.77 -> %s on udp/9\n}\n", names[0])
	}
	return text
}

func drawLine(t *rapid.T, m *check.Module, from, to string) string {
	all := cast()
	at := rapid.SampledFrom([]string{"", "", "", " at ingress", " at egress"}).Draw(t, "at")
	if at == " at ingress" && !strings.HasPrefix(to, "w") || at == " at egress" && !strings.HasPrefix(from, "w") {
		at = ""
	}
	l4 := rapid.SampledFrom([]string{"tcp/80", "tcp/80", "tcp/81", "tcp/82", "tcp/83", "tcp/84", "udp/80"}).Draw(t, "l4")
	request := ""
	if strings.HasPrefix(l4, "tcp") {
		request = rapid.SampledFrom([]string{`GET "/a"`, `GET "/a/x"`, `POST "/b"`, `PUT "/z"`}).Draw(t, "request")
	}
	want := "allow"
	line := func() string { return fmt.Sprintf("  %s %s -> %s on %s %s%s\n", want, from, to, l4, request, at) }
	given := ""
	for _, n := range []string{from, to} {
		if strings.HasPrefix(n, "w") {
			given += fmt.Sprintf("given %s = { %s } at %s\n", n, pairs(all[n].labels), all[n].addr)
		}
	}
	tried := drawn(t, "package p\n"+"default deny\n"+"test \"t\" {\n"+given+line()+"}\n")
	one := bruteCover{brute{m, inventoryOf(tried.Tests)}, tried.Tests}
	if holds, _ := one.line(one.tests[0], 0); holds != (rapid.IntRange(0, 7).Draw(t, "odd") > 0) {
		want = "deny"
	}
	return line()
}

func pairs(labels string) string {
	var out []string
	for pair := range strings.FieldsSeq(labels) {
		key, value, _ := strings.Cut(pair, "=")
		out = append(out, fmt.Sprintf("%s = %q", key, value))
	}
	return strings.Join(out, ", ")
}

// inventoryOf has all parties of tests, of which those of one name are one.
func inventoryOf(tests []*check.Test) program.Inventory {
	var inv program.Inventory
	known := map[string]bool{}
	for _, t := range tests {
		for _, p := range t.Parties {
			if !known[p.Name] {
				known[p.Name] = true
				inv.Workloads = append(inv.Workloads, program.Workload{Name: p.Name, Labels: p.Labels, Addresses: p.Addresses, Interface: p.Name})
			}
		}
	}
	return inv
}

// bruteCover judges the lines of tests over a module.
type bruteCover struct {
	brute
	tests []*check.Test
}

func (b bruteCover) over(other brute) bruteCover { return bruteCover{other, b.tests} }

func flowOf(t *check.Test, l *check.Assertion) verdict.Flow {
	end := func(e check.End) verdict.End {
		for _, p := range t.Parties {
			if p.Name == e.Party {
				return verdict.End{Workload: p.Name, Addr: p.Addresses[0]}
			}
		}
		return verdict.End{Addr: e.Addr}
	}
	f := verdict.Flow{From: end(l.From), To: end(l.To[0]), Proto: l.L4[0].Proto, Port: l.L4[0].First}
	if l.HTTP != nil {
		f.HTTP = &verdict.HTTP{Method: l.HTTP.Method, Path: l.HTTP.Path}
	}
	return f
}

// line says whether a line holds, and the verdict of which it speaks.
func (b bruteCover) line(t *check.Test, i int) (holds, allowed bool) {
	l := &t.Lines[i]
	f := flowOf(t, l)
	allowed = b.allows(f)
	if l.At != nil {
		v, _ := b.half(f, *l.At)
		allowed = v.Action != verdict.Deny
	}
	return allowed == (l.Want == program.Allow), allowed
}

// state says what becomes of every line.
func (b bruteCover) state() string {
	text := ""
	for _, t := range b.tests {
		for i := range t.Lines {
			holds, allowed := b.line(t, i)
			text += fmt.Sprintf("%v %v\n", holds, allowed)
		}
	}
	return text
}

func (b bruteCover) agrees(results []policytest.Result) error {
	n := 0
	for _, t := range b.tests {
		for i := range t.Lines {
			if holds, _ := b.line(t, i); holds != (results[n].Status == policytest.Pass) {
				return fmt.Errorf("%s: %s %s; by the Module it holds: %v", results[n].Span, results[n].Status, results[n].Summary, holds)
			}
			n++
		}
	}
	return nil
}

// rested reports whether a line holds and rests on a rule.
func (b bruteCover) rested(t *check.Test, i int, at place) bool {
	l := &t.Lines[i]
	if holds, _ := b.line(t, i); !holds || l.At != nil && *l.At != at.d {
		return false
	}
	if (b.rule(at).Action == program.Allow) != (l.Want == program.Allow) {
		return false
	}
	f := flowOf(t, l)
	if bare := f; l.At == nil {
		bare.HTTP = nil
		if !b.allows(bare) {
			f = bare // no request is ever read
		}
	}
	return b.rests(f, at.d, at)
}

func (b bruteCover) key(at place) string {
	r := b.rule(at)
	return r.Span.String() + " " + b.module.Policies[at.policy].Name + "." + r.Label
}

func (b bruteCover) coveredRules() map[string]bool {
	out := map[string]bool{}
	for _, at := range b.rules() {
		covered := false
		if b.rule(at).Action == program.Pass {
			covered = b.over(b.with(at, nil)).state() != b.state()
		} else {
			for _, t := range b.tests {
				for i := range t.Lines {
					covered = covered || b.rested(t, i, at)
				}
			}
		}
		out[b.key(at)] = covered
	}
	return out
}

func (b bruteCover) coveredRequests() map[string]bool {
	out := map[string]bool{}
	for _, at := range b.rules() {
		r := b.rule(at)
		if r.L7 == nil {
			continue
		}
		for k := range r.L7.HTTP {
			one, l7 := *r, *r.L7
			l7.HTTP = r.L7.HTTP[k : k+1]
			one.L7 = &l7
			other := b.over(b.with(at, &one))
			key := r.L7Span.String() + " " + b.module.Policies[at.policy].Name + "." + r.Label + ": " + l7.String()
			for _, t := range b.tests {
				for i := range t.Lines {
					out[key] = out[key] || b.rested(t, i, at) && other.rested(t, i, at)
				}
			}
		}
	}
	return out
}

// coveredAtoms finds each comparison at the first place, in the file, of its selector.
func (b bruteCover) coveredAtoms() map[string]bool {
	out, known, state := map[string]bool{}, map[string]bool{}, b.state()
	add := func(s *program.Selector, at fmt.Stringer, where string) {
		if s == nil || known[s.String()] {
			return
		}
		known[s.String()] = true
		for i, atom := range atomsOf(s) {
			out[fmt.Sprintf("%s %s in %s", at, atom, where)] = b.over(b.taking(s.String(), i, true)).state() != state ||
				b.over(b.taking(s.String(), i, false)).state() != state
		}
	}
	for _, p := range b.module.Policies {
		add(p.Subject.Selector, p.NameSpan, p.SubjectText)
		for _, d := range []program.Direction{program.Ingress, program.Egress} { // as it is drawn
			if blockOf(p, d) == nil {
				continue
			}
			for _, r := range blockOf(p, d).Rules {
				for _, list := range [][]program.Peer{r.Peers.Include, r.Peers.Except} {
					for _, peer := range list {
						add(peer.Selector, r.PeersSpan, r.PeersText)
					}
				}
			}
		}
	}
	return out
}

func atomsOf(s *program.Selector) []*program.Selector {
	if len(s.Args) == 0 {
		return []*program.Selector{s}
	}
	var out []*program.Selector
	for _, a := range s.Args {
		out = append(out, atomsOf(a)...)
	}
	return out
}
