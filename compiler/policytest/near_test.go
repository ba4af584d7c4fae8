// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler"
	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang"
	"mpol/lang/check"
)

// who is an end of a flow of the small universe: labels, or an address alone.
type who struct {
	labels string // pairs, such as "app=a role=x"; "-" for an address outside, "host" for the node
	addr   string
}

func everybody() []who {
	return []who{
		{"app=a", "10.0.0.1"},
		{"app=b", "10.0.0.1"},
		{"app=c", "10.0.0.1"},
		{"app=b role=x", "10.0.0.1"},
		{"app=c role=x", "10.0.0.1"},
		{"app=other", "10.0.0.1"},
		{"role=x", "10.0.0.1"},
		{"", "10.0.0.1"},
		{"host", "10.0.0.1"},
		{"-", "198.51.100.77"},
		{"-", "203.0.113.1"},
		{"-", "203.0.113.7"},
		{"-", "203.0.113.9"},
		{"-", "10.0.0.1"},
	}
}

// trial is a flow of the small universe, the labels of which stand in it.
type trial struct {
	from, to who
	proto    uint8
	port     uint16
	request  string // a method and a path, or nothing
}

func (x trial) judge(rules *program.Rules) (*verdict.Evaluator, verdict.Flow) {
	var inv program.Inventory
	end := func(w who, name, addr string) verdict.End {
		e := verdict.End{Addr: netip.MustParseAddr(addr)}
		switch w.labels {
		case "-":
		case "host":
			inv.Node = append(inv.Node, e.Addr)
		default:
			wl := program.Workload{Name: name, Addresses: []netip.Addr{e.Addr}, Interface: name}
			for pair := range strings.FieldsSeq(w.labels) {
				key, value, _ := strings.Cut(pair, "=")
				wl.Labels = append(wl.Labels, program.Label{Key: key, Value: value})
			}
			inv.Workloads = append(inv.Workloads, wl)
			e.Workload = name
		}
		return e
	}
	to := strings.Replace(x.to.addr, "10.0.0.1", "10.0.0.2", 1)
	f := verdict.Flow{From: end(x.from, "client", x.from.addr), To: end(x.to, "server", to), Proto: x.proto, Port: x.port}
	if method, path, ok := strings.Cut(x.request, " "); ok {
		f.HTTP = &verdict.HTTP{Method: method, Path: path}
	}
	r := *rules
	r.Inventory = inv
	return verdict.New(&r), f
}

// like returns the trials that differ from one in the thing of which a word speaks.
func (x trial) like(word string, d program.Direction) []trial {
	var out []trial
	add := func(change func(*trial)) {
		y := x
		change(&y)
		if y.from.labels != "host" || y.to.labels != "host" {
			out = append(out, y)
		}
	}
	switch word {
	case "on":
		for port := uint16(79); port < 87; port++ {
			add(func(y *trial) { y.port = port })
		}
	case "with":
		for _, r := range []string{"GET /a", "GET /a/x", "POST /b", "GET /b", "PUT /z"} {
			add(func(y *trial) { y.request = r })
		}
	default:
		for _, w := range everybody() {
			add(func(y *trial) {
				if d == program.Egress {
					y.to = w
				} else {
					y.from = w
				}
			})
		}
	}
	return out
}

// TestNearIsTrue: of flows that differ from a denied one just as a near miss says, the half that denies
// it allows those ports, some of those peers and some of those requests, by the rule that it names; and
// of the other half it tells the truth.
func TestNearIsTrue(t *testing.T) {
	told := 0
	rapid.Check(t, func(t *rapid.T) {
		text := drawPolicies(t)
		rules := compiler.Resolve(drawn(t, text), program.Inventory{})
		for range 10 {
			x := trial{
				from: rapid.SampledFrom(everybody()).Draw(t, "from"), to: rapid.SampledFrom(everybody()).Draw(t, "to"), proto: 6,
				port:    rapid.Uint16Range(79, 85).Draw(t, "port"),
				request: rapid.SampledFrom([]string{"", "", "GET /a", "PUT /z"}).Draw(t, "request"),
			}
			n, err := x.nearIsTrue(&rules)
			if told += n; err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
		}
	})
	if told < 50 {
		t.Errorf("%d near misses were told, want many", told)
	}
}

// nearIsTrue tries what is said of the flow, and counts it.
func (x trial) nearIsTrue(rules *program.Rules) (told int, err error) {
	form := regexp.MustCompile(`^(\S+) would allow this (on|with|from|to) (.*?)(?: with( http .*?))?(; (egress|ingress) would still deny it by (\S+))?$`)
	judge, f := x.judge(rules)
	v := judge.Decide(f)
	if v.Reason != verdict.ByRule && v.Reason != verdict.ByDefault && v.Reason != verdict.Ungoverned {
		return 0, nil
	}
	for d, h := range map[program.Direction]verdict.Half{program.Egress: v.Egress, program.Ingress: v.Ingress} {
		if !h.Exists || h.Allow {
			continue
		}
		for _, near := range policytest.Near(judge, f, d) {
			part := form.FindStringSubmatch(near)
			if part == nil {
				return told, fmt.Errorf("near: %s", near)
			}
			if err := x.holds(rules, d, part); err != nil {
				return told, fmt.Errorf("of %v at %s: near: %s: %w", x, d, near, err)
			}
			told++
		}
	}
	return told, nil
}

// holds tries what the parts of a near miss claim.
func (x trial) holds(rules *program.Rules, d program.Direction, part []string) error {
	rule, word, what, with, half, by := part[1], part[2], part[3], part[4], part[6], part[7]
	trials := x.like(word, d)
	if with != "" {
		var more []trial
		for _, y := range trials {
			more = append(more, y.like("with", d)...)
		}
		trials = more
	}
	named, opened, left := 0, 0, 0
	for _, y := range trials {
		if !y.among(word, what, with, d) {
			continue
		}
		named++
		judge, f := y.judge(rules)
		v := judge.Decide(f)
		h := v.Egress
		if d == program.Ingress {
			h = v.Ingress
		}
		if !h.Exists || !h.Allow || !slices.ContainsFunc(h.Matching, func(id program.RuleID) bool { return rules.Source(id).Name == rule }) {
			continue
		}
		opened++
		if denied := v.Action == verdict.Deny; denied == (half != "") && (!denied || v.Half.String() == half && rules.Source(v.Rule).Name == by) {
			left++
		}
	}
	if opened == 0 || left == 0 || word == "on" && with == "" && opened < named {
		return fmt.Errorf("of %d such flows %d are allowed by that rule, of which %d as is said", named, opened, left)
	}
	return nil
}

// among reports whether a near miss speaks of a trial, by a policy of its words alone.
func (x trial) among(word, what, with string, d program.Direction) bool {
	peers, l4, subject := "any", "tcp/any", "workloads"
	if d == program.Egress && x.from.labels == "host" || d == program.Ingress && x.to.labels == "host" {
		subject = "host"
	}
	switch word {
	case "on":
		l4 = what
	case "with":
		with = " " + what
	default:
		peers = what
	}
	rule := fmt.Sprintf("ingress { r: allow from %s on %s%s }", peers, l4, with)
	if d == program.Egress {
		rule = fmt.Sprintf("egress { r: allow to %s on %s%s }", peers, l4, with)
	}
	text := fmt.Sprintf("package q\ndefault allow\npolicy p for %s { %s }\n", subject, rule)
	file, list := lang.Parse("q.mpol", []byte(text))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	if m == nil {
		panic(fmt.Sprint(text, list, more))
	}
	rules := compiler.Resolve(m, program.Inventory{})
	judge, f := x.judge(&rules)
	return judge.Decide(f).Action == verdict.Allow
}
