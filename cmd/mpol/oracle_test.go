// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mpol/compiler/bruteforce"
	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// oracle judges flows as drawn by the module, and knows nothing of how mpol reads them.
type oracle struct {
	bruteforce.Evaluator
	inv *drawnInventory
	// several: a flow judged was to an address that its client has learned by several names. What they
	// ask for may differ, and then no one profile is right, which the module does not say.
	several bool
}

// ends are where a party may be; false for a text that is none.
func (o *oracle) ends(party string) ([]verdict.End, bool) {
	var out []verdict.End
	at := func(workload string, as []string) ([]verdict.End, bool) {
		for _, a := range addresses(as) {
			out = append(out, verdict.End{Workload: workload, Addr: a})
		}
		return out, true
	}
	switch party {
	case "host":
		return at("", o.inv.Host.Addresses)
	case "node":
		return at("", o.inv.Resolvers)
	}
	for _, w := range o.inv.Workloads {
		switch {
		case w.Name != party:
		case len(w.Addresses) == 0:
			return at(w.Name, o.inv.Host.Addresses)
		default:
			return at(w.Name, w.Addresses)
		}
	}
	if a, err := netip.ParseAddr(party); err == nil {
		return []verdict.End{{Addr: a}}, true
	}
	return nil, false
}

// holder is whose answers an end has.
func (o *oracle) holder(e verdict.End) string {
	if e.Workload != "" {
		return e.Workload
	}
	for _, w := range o.inv.Workloads {
		if slices.Contains(addresses(w.Addresses), e.Addr) {
			return w.Name
		}
	}
	if slices.Contains(addresses(o.inv.Host.Addresses), e.Addr) {
		return "host"
	}
	return ""
}

// connection judges a flow between two addresses by what its client has looked up.
func (o *oracle) connection(f drawnFlow, from, to verdict.End) bruteforce.Verdict {
	flow := verdict.Flow{From: from, To: to, Proto: f.proto, Port: f.port, HTTP: f.content.http, TLS: f.content.tls, Question: f.content.question}
	for _, n := range o.inv.Names {
		if n.Workload == o.holder(from) && slices.Contains(addresses(n.Addresses), to.Addr) {
			flow.Names = append(flow.Names, program.ParseName(n.Name))
		}
	}
	o.several = o.several || len(flow.Names) > 1
	return o.Judge(flow)
}

// ways returns the verdicts of a flow in every way in which it can go; none where it is no flow. Of a
// question that no resolver may be asked, each refusal is one.
func (o *oracle) ways(f drawnFlow) []bruteforce.Verdict {
	var out []bruteforce.Verdict
	from, _ := o.ends(f.from)
	to, known := o.ends(f.to)
	for _, a := range from {
		to := to
		if !known {
			if refused := o.question(a, f.to); len(refused) > 0 {
				out = append(out, refused...)
				continue
			}
			for _, n := range o.inv.Names {
				if n.Workload == o.holder(a) && slices.Equal(program.ParseName(n.Name), program.ParseName(f.to)) {
					for _, b := range addresses(n.Addresses) {
						to = append(to, verdict.End{Addr: b})
					}
				}
			}
		}
		for _, b := range to {
			if a.Addr.Is4() == b.Addr.Is4() {
				out = append(out, o.connection(f, a, b))
			}
		}
	}
	return out
}

// question returns the refusals of a question for a name, none if some resolver may be asked.
func (o *oracle) question(from verdict.End, name string) []bruteforce.Verdict {
	var refusals []bruteforce.Verdict
	q := verdict.Question{Name: program.ParseName(name), Type: 1}
	if from.Addr.Is6() {
		q.Type = 28
	}
	ask := func(to verdict.End, l4 program.L4) bool {
		if to.Addr.Is4() != from.Addr.Is4() || to.Addr == from.Addr {
			return false
		}
		v := o.Judge(verdict.Flow{From: from, To: to, Proto: l4.Proto, Port: l4.First, Question: &q})
		if v.Action == verdict.Deny {
			refusals = append(refusals, v)
		}
		return v.Action != verdict.Deny
	}
	node, _ := o.ends("node")
	for _, e := range node {
		if ask(e, program.L4{Proto: program.ProtoUDP, First: 53}) {
			return nil
		}
	}
	for _, p := range o.Module.Policies {
		if p.Egress == nil {
			continue
		}
		for _, r := range p.Egress.Rules {
			domain := slices.ContainsFunc(r.Peers.Include, func(p program.Peer) bool { return p.Kind == program.PeerDomain })
			if r.Action != program.Allow || !domain {
				continue
			}
			for _, res := range r.Resolvers {
				for _, l4 := range res.L4 {
					for _, e := range o.servers(res) {
						if ask(e, l4) {
							return nil
						}
					}
				}
			}
		}
	}
	return refusals
}

// servers are where a resolver answers, of a prefix its first address.
func (o *oracle) servers(r program.Resolver) []verdict.End {
	var out []verdict.End
	for _, p := range r.Peers.Include {
		switch p.Kind {
		case program.PeerPrefix:
			out = append(out, verdict.End{Addr: p.Prefix.Addr()})
		case program.PeerSelector:
			for _, w := range o.Inventory.Workloads {
				if policytest.Meets(p.Selector, &w) {
					at, _ := o.ends(w.Name)
					out = append(out, at...)
				}
			}
		}
	}
	return out
}

// written is a verdict as its schema says it is written.
func written(v bruteforce.Verdict, id string) verdictLine {
	out := verdictLine{ID: json.RawMessage(id), Verdict: "allow", Reason: map[verdict.Reason]string{
		verdict.ByRule: "rule", verdict.ByDefault: "default", verdict.Ungoverned: "ungoverned", verdict.Conflict: "conflict",
		verdict.Unreadable: "unreadable", verdict.Refused: "refused", verdict.Self: "self", verdict.Foreign: "foreign",
	}[v.Reason]}
	switch v.Action {
	case verdict.Deny:
		out.Verdict = "deny"
	case verdict.Redirect:
		out.Reason = "requests"
	}
	if v.Rule != "" {
		out.Half, out.Rule, out.Tier, out.File, out.Line = v.Half.String(), v.Rule, v.Tier, filepath.Base(v.At.File), v.At.Start.Line
	}
	return out
}

// expected are the lines that a flow may have: those of the ways that are denied, or else of all.
func (o *oracle) expected(f drawnFlow, id string) []verdictLine {
	o.several = false
	ways := o.ways(f)
	denied := slices.DeleteFunc(slices.Clone(ways), func(v bruteforce.Verdict) bool { return v.Action != verdict.Deny })
	if len(denied) > 0 {
		ways = denied
	}
	var out []verdictLine
	for _, v := range ways {
		out = append(out, written(v, id))
	}
	return out
}

// outcomes are what is written of some flow or other. An end that cannot be is none that can be written.
func outcomes() []string {
	return []string{
		"allow rule", "allow default", "allow ungoverned", "allow requests", "allow self", "allow foreign",
		"deny rule", "deny default", "deny ungoverned", "deny conflict", "deny unreadable", "deny refused",
	}
}

// TestOracle draws policies, inventories and flows and compares what mpol verdict answers, line by line,
// with what the module says by brute force; of some flows also what mpol why says of them. A flow that can
// go no way is told on a line of its own. For a million flows: -rapid.checks=10000.
func TestOracle(t *testing.T) {
	folder := t.TempDir()
	files := []string{filepath.Join(folder, "p.mpol"), "--inventory", filepath.Join(folder, "inventory.json")}
	seen := map[string]int{}
	missing := func(outcome string) bool { return seen[outcome] == 0 }
	for round := 0; round < 20 && !t.Failed() && slices.ContainsFunc(outcomes(), missing); round++ {
		rapid.Check(t, func(r *rapid.T) {
			d := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), rapid.Uint64().Draw(r, "seed")))
			text, inv := drawPolicies(d), drawInventory(d)
			world, err := json.Marshal(inv)
			if err != nil {
				r.Fatal(err)
			}
			for i, text := range map[int][]byte{0: []byte(text), 2: world} {
				if err := os.WriteFile(files[i], text, 0o600); err != nil {
					r.Fatal(err)
				}
			}
			o := &oracle{Evaluator: bruteforce.Evaluator{Module: parsed(text), Inventory: inv.means()}, inv: inv}
			flows := make([]drawnFlow, 100)
			for i := range flows {
				flows[i] = drawFlow(d, o)
			}
			for i, got := range o.compare(r, files, flows) {
				outcome := got.Verdict + " " + got.Reason
				if seen[outcome]++; seen[outcome] == 1 {
					fitting(t, flows[i], got)
				}
				if i%25 == 0 {
					o.why(r, files, flows[i], got)
				}
			}
		})
	}
	t.Log(seen)
	if i := slices.IndexFunc(outcomes(), missing); i >= 0 {
		t.Errorf("no flow had the outcome %q", outcomes()[i])
	}
}

// fitting holds a flow and its verdict against their schemas.
func fitting(t *testing.T, f drawnFlow, v verdictLine) {
	t.Helper()
	for schema, text := range map[string][]byte{"flow": []byte("{" + f.line()), "verdict": v.append(nil)} {
		var document any
		if err := json.Unmarshal(text, &document); err != nil || !fits(t, schema, document) {
			t.Errorf("%v: %s does not fit the schema of a %s", err, text, schema)
		}
	}
}

// compare has flows judged and returns the verdicts by their places, after comparing each.
func (o *oracle) compare(r *rapid.T, files []string, flows []drawnFlow) map[int]verdictLine {
	var in strings.Builder
	for i, f := range flows {
		fmt.Fprintf(&in, "{\"id\":\"%d\",%s\n", i, f.line())
	}
	var out, errs bytes.Buffer
	code := run(r.Context(), append(append([]string{"verdict"}, files...), "-"), strings.NewReader(in.String()), &out, &errs)
	rest, verdicts := out.String(), map[int]verdictLine{}
	for i, f := range flows {
		want := o.expected(f, fmt.Sprintf("\"%d\"", i))
		if len(want) == 0 {
			if !strings.Contains(errs.String(), fmt.Sprintf("<stdin>:%d: ", i+1)) {
				r.Fatalf("{%s is no flow, and nobody says so", f.line())
			}
			continue
		}
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var got verdictLine
		if err := d.Decode(&got); err != nil {
			r.Fatalf("%v: %s", err, line)
		}
		if got.Rule != "" {
			got.File = filepath.Base(got.File)
		}
		torn := o.several && got.Verdict == "deny" && got.Reason == "conflict"
		if !torn && !slices.ContainsFunc(want, func(w verdictLine) bool { return cmp.Equal(w, got) }) {
			r.Fatalf("{%s\ngot  %s\nwant %+v\n%s", f.line(), line, want, o.described(files))
		}
		verdicts[i] = got
	}
	if bad := len(flows) - len(verdicts); rest != "" || code != map[bool]int{true: exitUsage, false: exitOK}[bad > 0] {
		r.Fatalf("exit code %d with %d lines that are no flow; left of the output: %s", code, bad, rest)
	}
	return verdicts
}

// described are the policies and the inventory, to tell of a failure.
func (o *oracle) described(files []string) string {
	world, _ := json.Marshal(o.inv)      // of text alone
	policies, _ := os.ReadFile(files[0]) // a folder is named, and no more
	return fmt.Sprintf("%s: %s\n%s", files[0], world, policies)
}
