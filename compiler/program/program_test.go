// SPDX-License-Identifier: Apache-2.0

package program_test

import (
	"slices"
	"strings"
	"testing"

	"mpol/compiler/program"
)

func TestMatches(t *testing.T) {
	tests := []struct {
		pattern program.NamePattern
		name    string
		want    bool
	}{
		{"a.example", "a.example", true},
		{"a.example", "A.Example.", true},
		{"a.example", "b.example", false},
		{"a.example", "x.a.example", false},
		{"*.example", "a.example", true},
		{"*.example", "a.b.example", false},
		{"*.example", "example", false},
		{"**.example", "a.b.example", true},
		{"**.example", "a.example", true},
		{"**.example", "example", false},
		{"**.example", "evilexample", false},
		{"**", "a", true},
		{"**", "", false},
		{"api-*.example", "api-1.example", true},
		{"api-*.example", "api-.example", true},
		{"api-*.example", "api.example", false},
		{"a*b*c.example", "abc.example", true},
		{"a*b*c.example", "axbxxbxc.example", true},
		{"a*b*c.example", "acb.example", false},
		{"a*a.example", "a.example", false},
		{"", "", false},
		{"", "a", false},
	}
	for _, test := range tests {
		t.Run(string(test.pattern)+" "+test.name, func(t *testing.T) {
			if got := test.pattern.Matches(program.ParseName(test.name)); got != test.want {
				t.Errorf("%q.Matches(%q) = %v, want %v", test.pattern, test.name, got, test.want)
			}
		})
	}
}

// A label that holds a dot is one label (dns-6).
// Covers is held against every name of up to three labels of up to two letters, of which c is in no pattern.
func TestCovers(t *testing.T) {
	var labels, parts []string
	for _, a := range []string{"a", "b", "c"} {
		labels = append(labels, a)
		for _, b := range []string{"a", "b", "c"} {
			labels = append(labels, a+b)
		}
	}
	for _, a := range []string{"", "a", "b", "*"} {
		for _, b := range []string{"a", "b", "*"} {
			if a+b != "**" {
				parts = append(parts, a+b)
			}
		}
	}
	var names []program.Name
	var patterns []program.NamePattern
	for _, x := range labels {
		names = append(names, program.Name{x})
		for _, y := range labels {
			names = append(names, program.Name{x, y})
			for _, z := range []string{"a", "c", "cc"} {
				names = append(names, program.Name{z, x, y})
			}
		}
	}
	for _, x := range append(parts, "**") {
		patterns = append(patterns, program.NamePattern(x))
		for _, y := range parts {
			patterns = append(patterns, program.NamePattern(x+"."+y))
		}
	}
	for _, p := range patterns {
		for _, q := range patterns {
			want := !slices.ContainsFunc(names, func(n program.Name) bool { return q.Matches(n) && !p.Matches(n) })
			if got := p.Covers(q); got != want {
				t.Errorf("%q covers %q: %v, want %v", p, q, got, want)
			}
		}
	}
	if program.NamePattern("a").Covers("") || program.NamePattern("").Covers("a") {
		t.Error("the pattern of no name takes part")
	}
}

func TestMatchesWireLabels(t *testing.T) {
	for _, p := range []program.NamePattern{"www.example", "**.example", "w*.example"} {
		if !p.Matches(program.Name{"www", "example"}) {
			t.Errorf("%q does not match its name", p)
		}
	}
	if program.NamePattern("www.google.example").Matches(program.Name{"www.google", "example"}) {
		t.Error("a dot in a label passes for one between labels")
	}
}

func TestDomain(t *testing.T) {
	d := program.Domain{Patterns: []program.NamePattern{"*.example", "b.test"}, Except: []program.NamePattern{"no.example"}}
	for name, want := range map[string]bool{"a.example": true, "b.test": true, "no.example": false, "other.test": false} {
		if got := d.Matches(program.ParseName(name)); got != want {
			t.Errorf("Matches(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestLabel(t *testing.T) {
	w := program.Workload{Labels: []program.Label{{Key: "a", Value: "1"}, {Key: "c", Value: ""}}}
	for key, want := range map[string]struct {
		value string
		ok    bool
	}{"a": {"1", true}, "b": {"", false}, "c": {"", true}, "d": {"", false}} {
		if value, ok := w.Label(key); value != want.value || ok != want.ok {
			t.Errorf("Label(%q) = %q, %v, want %q, %v", key, value, ok, want.value, want.ok)
		}
	}
}

func TestText(t *testing.T) {
	in := &program.Selector{Op: program.OpIn, Key: "app", Values: []string{"a", `b"`}}
	has := &program.Selector{Op: program.OpHas, Key: "role"}
	host := program.NamePattern("*.example")
	tests := []struct{ got, want string }{
		{in.String(), `"app" in ["a", "b\""]`},
		{(&program.Selector{Op: program.OpNot, Args: []*program.Selector{in}}).String(), `not ("app" in ["a", "b\""])`},
		{(&program.Selector{Op: program.OpOr, Args: []*program.Selector{in, has}}).String(), `("app" in ["a", "b\""]) or (has "role")`},
		{program.Peer{Kind: program.PeerInternet}.String(), "internet"},
		{program.L4{Any: true}.String(), "any"},
		{program.L4{Proto: 6, First: 1, Last: 65535}.String(), "tcp/any"},
		{program.L4{Proto: 17, First: 53, Last: 53}.String(), "udp/53"},
		{program.L4{Proto: 132, First: 5, Last: 9}.String(), "sctp/5-9"},
		{program.L4{Proto: 1, Last: 65535}.String(), "icmp"},
		{program.L4{Proto: 1, First: 8 << 8, Last: 8<<8 | 255}.String(), "icmp/8"},
		{program.L4{Proto: 58, First: 1<<8 | 4, Last: 1<<8 | 4}.String(), "icmpv6/1/4"},
		{program.L4{Proto: 47, Last: 65535}.String(), "ip/47"},
		{program.HTTPRequest{Path: program.PathPattern{Text: "/a"}, Host: &host}.String(), `any "/a" host "*.example"`},
		{(&program.L7{Kind: program.L7DNS, DNS: []program.NamePattern{"a.b"}, Types: []uint16{1}}).String(), `dns { "a.b", types [1] }`},
		{program.Source{File: "a.mpol", Line: 3, Column: 5}.String(), "a.mpol:3:5"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

// The name of a program hangs on its content, and unknown rules have no place.
func TestHash(t *testing.T) {
	p := &program.Program{Rules: program.Rules{Sources: []*program.Source{{}, {Key: "default"}}}}
	before := p.Hash()
	if before != p.Hash() || len(before) != 64 {
		t.Errorf("Hash() = %s, then %s", before, p.Hash())
	}
	p.Rules.Default = program.Allow
	if p.Hash() == before {
		t.Error("two programs have one hash")
	}
	if s := p.Rules.Source(7); s != (program.Source{}) {
		t.Errorf("Source(7) = %v", s)
	}
}

func TestWriteTextReportsErrors(t *testing.T) {
	if err := (&program.Program{}).WriteText(failing{}); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("WriteText gave %v, want the writer's error", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull{} }

type errFull struct{}

func (errFull) Error() string { return "full" }
