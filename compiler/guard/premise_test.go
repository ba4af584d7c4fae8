// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/program"
	"mpol/lang/check"
)

// probe compiles a guardrail named probe with this text behind its package.
func probe(t *testing.T, text string) *compiled {
	t.Helper()
	g := compile([]Guardrail{{Name: "probe", File: "probe/probe.rego", Text: "package mpol.guardrails.probe\n\n" + text}})[0]
	if g.failed != nil {
		t.Fatalf("%v in\n%s", g.failed, text)
	}
	return &g
}

const nothing = `{"span": input.policy.span, "message": "m", "help": "h"}`

// helpers are rules that the bodies below use.
const helpers = `
open if input.rule.whole_ipv4

open if input.rule.whole_ipv6

web if input.rule.action == "allow"

else if input.direction == "egress"

allows := input.rule.action == "allow"

default quiet := false

quiet if input.rule.log

default loud := true

loud := false if input.rule.log

owners contains a.values[0] if {
	some a in input.policy.annotations
	a.key == "owner"
}

ports[name] := number if some name, number in {"ssh": 22, "web": 443}

listed := [{"proto": 6, "number": 22}, {"proto": 17, "number": 53}]

is(kind) if {
	some peer in input.rule.peers.include
	peer.kind == kind
}

one(a) := b if b := a

used contains x if some x in [open, web, allows, quiet, loud, count(owners), count(ports), count(listed), is("any"), one(1)]
`

// conditions are expressions of all sorts; the first can be read off the input.
func conditions() []string {
	return []string{
		`input.direction == "egress"`, `"ingress" == input.direction`, `input.direction != "egress"`,
		`input.rule`, `not input.rule`, `input.rule.whole_ipv4`, `not input.rule.whole_ipv4`, `not input.policy.audit`,
		`input.rule.action in {"deny", "pass"}`, `input.rule.action in ["allow"]`, `not input.rule.action in {"deny"}`,
		`input.rule.label == ""`, `input.rule.label != "x"`, `input.rule.doc`, `not input.rule.l7`, `input.tier.order < 100`,
		`input.tier.name == "normal"`, `input.policy.tier >= 1`, `open`, `not open`, `web`, `allows`, `not allows`, `quiet`, `not quiet`,
		`owners`, `count(owners) == 0`, `owners["team"]`, `some _ in owners`, `"team" in owners`, `ports.ssh == 22`, `ports.none`,
		"some l4 in input.rule.l4\n\tl4.first < l4.last", "some l4 in input.rule.l4\n\tsome p in listed\n\tp.number == l4.first\n\tp.proto == l4.proto",
		"some l4 in input.rule.l4\n\tl4.any", "some i, l4 in input.rule.l4\n\ti == 1\n\tl4.last > 100", `input.rule.l4[_].proto == 17`, `input.rule.l4[0].first == 22`,
		"every l4 in input.rule.l4 {\n\t\tl4.last < 1000\n\t}", `count(input.rule.l4) > 1`, `count([1 | input.rule.l4[_].first < 50]) > 0`,
		"peers := input.rule.peers\n\tpeers.include[_].kind == \"any\"", "some peer in input.rule.peers.include\n\tnot peer.kind in {\"any\"}",
		`is("prefix")`, `not is("any")`, "some peer in input.rule.peers.include\n\tnet.cidr_contains(\"10.0.0.0/8\", peer.prefix)",
		"x := input.rule.label\n\tstartswith(x, \"r\")", `object.get(input.rule, "label", "none") == "none"`, `some _, v in input.rule; v == "r1"`,
		`input.rule[concat("_", ["whole", "ipv6"])]`, "walk(input.policy, [_, v])\n\tv == \"team\"", `one(input.rule.label) == "r1"`,
		"x := input.rule\n\ty := x.peers\n\tcount(y.except) == 0", `[input.policy.name, 1] == ["shop.web", 1]`, `{"a": input.direction} == {"a": "egress"}`,
		"some a in input.policy.annotations\n\ta.key == \"owner\"\n\ta.values[0] != \"\"", `input.rule.annotations[_].key == "allow"`, `input.policy.egress`, `not input.policy.egress`,
		`input.policy.subject.all`, "some t in input.rule.terms\n\tt.kind == \"cidrs\"", `some p in input.rule.patterns; p.wild`, `sprintf("%v", [input.rule.log]) == "true"`,
		"l4 := input.rule.l4[_]\n\tpeer := input.rule.peers.include[_]\n\tpeer.kind == \"any\"\n\tl4.first <= 443", `open with input as {"rule": {"whole_ipv4": true}}`, `not input.rule.l4[0].any`,
		`loud`, "x = input.rule.peers.include\n\tx = input.rule.peers.except", `input.rule.l4 == []`, `input.rule.label == input.policy.name`,
	}
}

// draw returns a policy with a rule, the way chance has it.
func draw(r *rand.Rand) item {
	coin := func() bool { return r.IntN(2) == 0 }
	p := &check.Policy{Name: "shop.web", Audit: coin(), Tier: r.IntN(2), Span: span(1), Egress: &check.Block{Span: span(2)}}
	if coin() {
		p.Annotations = []check.Annotation{{Key: []string{"owner", "tag"}[r.IntN(2)], Values: []string{"team"}, Span: span(3)}}
	}
	if coin() {
		p.Egress = nil
	}
	it := item{Version: inputVersion, Policy: p, Tier: program.Tier{Name: []string{"normal", "admin"}[r.IntN(2)], Order: r.IntN(200)}}
	p.Subject.All = coin()
	if r.IntN(5) == 0 {
		return it
	}
	it.Direction = new([]program.Direction{program.Egress, program.Ingress}[r.IntN(2)])
	it.Rule = &check.Rule{
		Label: []string{"", "r1", "x"}[r.IntN(3)], Action: []program.Action{program.Allow, program.Deny, program.Pass}[r.IntN(3)],
		WholeIPv4: coin(), WholeIPv6: coin(), Log: coin(), Span: span(4),
	}
	if coin() {
		it.Rule.Annotations = []check.Annotation{{Key: "allow", Span: span(5)}}
		it.Rule.Terms = []check.Term{{Kind: "cidrs"}}
		it.Rule.Patterns = []check.Pattern{{Pattern: "*.example.com", Wild: coin()}}
	}
	for range r.IntN(3) {
		first := []uint16{22, 53, 443}[r.IntN(3)]
		it.Rule.L4 = append(it.Rule.L4, program.L4{Proto: []uint8{6, 17}[r.IntN(2)], First: first, Last: first + uint16(r.IntN(2))*1000})
		it.Rule.Peers.Include = append(it.Rule.Peers.Include, program.Peer{Kind: []program.PeerKind{program.PeerAny, program.PeerHost}[r.IntN(2)]})
		it.Rule.Peers.Except = append(it.Rule.Peers.Except, program.Peer{Kind: program.PeerWorld})
	}
	if coin() {
		it.Rule.L4 = append(it.Rule.L4, program.L4{Any: true})
	}
	return it
}

// TestPremise draws guardrails and items: what a premise refuses to ask about, Rego finds nothing to
// say of, and what a guardrail is shown in part it judges as when it is shown all.
func TestPremise(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	all := conditions()
	spared := map[string]int{}
	for n := range 4 * len(all) {
		first, other := all[n%len(all)], all[r.IntN(len(all))]
		text := "deny contains " + nothing + " if {\n\tcount(used) >= 0\n\talso\n\t" + first + "\n}\n\nalso if {\n\t" + other + "\n}\n" + helpers
		if n < len(all) {
			text = strings.Replace(text, "\talso\n", "\tcount([1 | also]) >= 0\n", 1)
		}
		g := probe(t, text)
		for range 60 {
			it := draw(r)
			input := reflect.ValueOf(it)
			say := func(n *reads) answer {
				q, err := newEncoder(g.form).question(input, n)
				if err != nil {
					t.Fatal(err)
				}
				s := g.sets[0]
				s.premise = always
				asked := *g
				asked.sets = []compiledSet{s}
				return asked.ask(t.Context(), q)
			}
			want, got := say(&reads{all: true}), say(g.reads)
			if diff := cmp.Diff(want.said, got.said); diff != "" || (want.failed == nil) != (got.failed == nil) {
				t.Fatalf("seed %d: shown all and a part (-want +got):\n%s\nof %+v\n%s", seed, diff, it, text)
			}
			if !g.minds(input) {
				if want.said != nil {
					t.Fatalf("seed %d: not asked, but says %v of\n%+v %+v\n%s", seed, want, it, it.Rule, text)
				}
				spared[first]++
			}
		}
	}
	for _, c := range all[:6] {
		if spared[c] == 0 {
			t.Errorf("%s is asked of every item", c)
		}
	}
}

// TestPremiseSpares: what the built-in guardrails need not be asked about is what makes them fast.
func TestPremiseSpares(t *testing.T) {
	gs, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	in, out := program.Ingress, program.Egress
	plain := large(1).Policies[0]
	world := *plain.Ingress.Rules[0]
	world.WholeIPv4, world.WholeIPv6, world.Peers = true, true, program.Peers{Include: []program.Peer{{Kind: program.PeerWorld}}}
	pages := world
	pages.L4 = []program.L4{{Proto: program.ProtoTCP, First: 80, Last: 80}}
	tests := []struct {
		name string
		item item
		want []string
	}{
		{"policy with an owner", item{Policy: plain}, []string{"owner"}},
		{"ingress from workloads", item{Policy: plain, Direction: &in, Rule: plain.Ingress.Rules[0]}, nil},
		{"egress to a domain", item{Policy: plain, Direction: &out, Rule: plain.Egress.Rules[1]}, nil},
		{"ingress from the world on one port", item{Policy: plain, Direction: &in, Rule: &world}, nil},
		{"egress to the world on one port", item{Policy: plain, Direction: &out, Rule: &world}, nil},
		{"egress to the world in clear text", item{Policy: plain, Direction: &out, Rule: &pages}, []string{"metadata", "plaintext-egress"}},
	}
	for _, tt := range tests {
		var got []string
		for _, g := range compile(gs) {
			if g.form.items && (tt.item.Rule == nil || g.reads.rules()) && g.minds(reflect.ValueOf(tt.item)) {
				got = append(got, g.Name)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s is asked of (-want +got):\n%s", tt.name, diff)
		}
	}
}
