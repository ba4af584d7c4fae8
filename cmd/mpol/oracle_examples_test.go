// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler/bruteforce"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/internal/policyset"
	"mpol/internal/source"
	"mpol/lang/check"
)

// TestOracleExamples compares what mpol verdict and mpol why say by the policies that come with mpol: the
// parties of their tests are the workloads, and flows go where rules speak of, with what test lines hold.
func TestOracleExamples(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(root, "policies/examples/*"))
	if err != nil || len(folders) < 6 {
		t.Fatalf("%d examples, %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			files, err := source.Load([]string{folder}, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, list, err := policyset.Read(t.Context(), files, policyset.Options{Unguarded: true})
			if m == nil || err != nil {
				t.Fatal(list, err)
			}
			inv := partiesOf(m)
			world, err := json.Marshal(inv)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "inventory.json")
			if err := os.WriteFile(path, world, 0o600); err != nil {
				t.Fatal(err)
			}
			o := &oracle{Evaluator: bruteforce.Evaluator{Module: m, Inventory: inv.means()}, inv: inv}
			seen := map[string]int{}
			enough := func() bool {
				return seen["allow rule"]+seen["allow requests"] >= 20 && seen["deny default"] >= 20
			}
			try := func(r *rapid.T) {
				d := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), rapid.Uint64().Draw(r, "seed")))
				flows := make([]drawnFlow, 20)
				for i := range flows {
					flows[i] = drawFlowOf(d, o)
				}
				args := []string{folder, "--inventory", path}
				for i, got := range o.compare(r, args, flows) {
					seen[got.Verdict+" "+got.Reason]++
					if i == 0 {
						o.why(r, args, flows[i], got)
					}
				}
			}
			for round := 0; round < 10 && !enough(); round++ { // few flows are allowed
				rapid.Check(t, try)
			}
			if !enough() {
				t.Errorf("hardly anything was allowed or denied: %v", seen)
			}
		})
	}
}

// partiesOf are the parties of the tests of a module, each set of labels once, and what they look up.
func partiesOf(m *check.Module) *drawnInventory {
	inv := &drawnInventory{Host: drawnHost{[]string{"192.0.2.1", "2001:db8::1"}}, Resolvers: []string{"9.9.9.9", "2620:fe::fe"}}
	known := map[string]bool{}
	for _, test := range m.Tests {
		for _, p := range test.Parties {
			key := fmt.Sprint(p.Labels)
			if p.Outside || known[key] {
				continue
			}
			known[key] = true
			n := len(known)
			w := drawnWorkload{Name: fmt.Sprintf("w%d", n), Labels: map[string]string{}, Addresses: []string{fmt.Sprintf("10.0.0.%d", n), fmt.Sprintf("fd00::%x", n)}}
			for _, l := range p.Labels {
				w.Labels[l.Key] = l.Value
			}
			if n%4 == 0 {
				w.Addresses = nil
			}
			inv.Workloads = append(inv.Workloads, w)
		}
	}
	for i, a := range answersOf(m) {
		for _, w := range inv.Workloads {
			inv.Names = append(inv.Names, drawnName{w.Name, a, []string{fmt.Sprintf("198.51.100.%d", 1+i%200)}})
		}
	}
	return inv
}

// answersOf are the names that tests look up, each once.
func answersOf(m *check.Module) []string {
	var names []string
	for _, test := range m.Tests {
		for _, a := range test.Answers {
			names = append(names, a.Name.String())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// drawFlowOf draws a flow where some rule of the module may speak of it.
func drawFlowOf(d *rand.Rand, o *oracle) drawnFlow {
	from := []string{"host", "203.0.113.9", "198.51.100.77", "2001:db8:1::1"}
	var l4s []program.L4
	contents := append(append(requests(), hellos()...), questions()...)
	for _, w := range o.inv.Workloads {
		from = append(from, w.Name, w.Name, w.Name)
	}
	for _, p := range o.Module.Policies {
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				l4s = append(l4s, r.L4...)
			}
		}
	}
	own := contents[:0:0]
	for _, test := range o.Module.Tests {
		for _, l := range test.Lines {
			own = append(own, contentOf(l))
		}
	}
	to := append([]string{"node", "169.254.169.254"}, from...)
	to = append(to, answersOf(o.Module)...)
	l4 := pick(d, l4s...)
	f := drawnFlow{from: pick(d, from...), to: pick(d, to...), proto: l4.Proto, port: pick(d, l4.First, l4.First, l4.Last, l4.Last+1)}
	if l4.Any {
		f.proto, f.port = program.ProtoTCP, pick[uint16](d, 22, 80, 443)
	}
	switch f.proto {
	case program.ProtoICMP:
		f.l4 = fmt.Sprintf("icmp/%d/%d", f.port>>8, f.port&0xff)
	case program.ProtoICMPv6:
		f.l4 = fmt.Sprintf("icmpv6/%d/%d", f.port>>8, f.port&0xff)
	case program.ProtoTCP, program.ProtoUDP, program.ProtoSCTP:
		f.port = max(f.port, 1)
		f.l4 = program.L4{Proto: f.proto, First: f.port, Last: f.port}.String()
	default:
		f.l4, f.port = fmt.Sprintf("ip/%d", f.proto), 0
	}
	switch c := pick(d, append(own, pick(d, contents...))...); {
	case f.proto == program.ProtoTCP, f.proto == program.ProtoUDP && c.question != nil:
		f.content = c
	}
	return f
}

// contentOf is what a line of a test holds, as a flow is written.
func contentOf(l check.Assertion) drawnContent {
	text := func(v any) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(err) // of text alone
		}
		return strings.TrimSpace(b.String())
	}
	switch {
	case l.HTTP != nil && !l.HTTP.Any:
		h := &verdict.HTTP{Method: l.HTTP.Method, Path: l.HTTP.Path, Host: l.HTTP.Host, Upgrade: l.HTTP.Upgrade}
		lines := [][]string{}
		add := func(name, value string) {
			lines = append(lines, []string{name, value})
			h.Headers = append(h.Headers, verdict.Header{Name: name, Value: value})
		}
		for _, header := range l.HTTP.Headers {
			add(header.Name, header.Value)
		}
		if h.Upgrade != "" {
			add("connection", "upgrade")
			add("upgrade", h.Upgrade)
		}
		return drawnContent{json: `"http":` + text(map[string]any{"method": h.Method, "path": h.Path, "host": h.Host, "headers": lines}), http: h}
	case l.GRPC != nil:
		return drawnContent{json: `"grpc":` + text(l.GRPC.Service+"/"+l.GRPC.Method), http: verdict.GRPC(l.GRPC.Service, l.GRPC.Method)}
	case l.DNS != nil:
		typ := max(l.DNS.Type, 1)
		return drawnContent{
			json: `"dns":` + text(map[string]string{"name": l.DNS.Name.String(), "type": fmt.Sprintf("TYPE%d", typ)}), question: &verdict.Question{Name: l.DNS.Name, Type: typ},
		}
	case l.SNI != "":
		return drawnContent{json: `"sni":` + text(l.SNI), tls: &verdict.TLS{ServerName: l.SNI, Present: true}}
	}
	return drawnContent{}
}
