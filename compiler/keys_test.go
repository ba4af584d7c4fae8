// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
)

// next draws what may follow m on a node: some policies go, some come, lines move, a workload comes.
func next(t *rapid.T, m *check.Module) (*check.Module, program.Inventory) {
	n := *m
	n.Policies = slices.Clone(m.Policies)
	if rapid.Bool().Draw(t, "less") {
		n.Policies = n.Policies[1:]
	}
	for i, p := range drawModule(t).Policies {
		p.Name = fmt.Sprintf("new%d", i)
		if rapid.Bool().Draw(t, "more") {
			n.Policies = append(n.Policies, p)
		}
	}
	inv := universe()
	inv.Workloads = append(inv.Workloads, program.Workload{
		Name: "z", Labels: labels("app", "z"), Addresses: addrs("10.0.0.77"), Interface: "veth-z",
	})
	return &n, inv
}

// entriesByKey names the entries of a table by what outlives a program.
func entriesByKey(p *program.Program) map[string]string {
	out := make(map[string]string)
	for _, t := range p.Tables.Tables {
		out[t.Key+" strangers"] = t.Classes[0].Key
		for _, c := range t.Classes {
			out[t.Key+" "+c.Key] = fmt.Sprintf("%+v", c.Entries)
		}
	}
	return out
}

// Equal keys of tables and classes mean equal entries, whatever else the programs hold.
func TestTableKeysLast(t *testing.T) {
	common := 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawModule(t)
		n, inv := next(t, m)
		p, _ := compiler.Compile(m, universe())
		q, _ := compiler.Compile(n, inv)
		if p == nil || q == nil {
			return
		}
		a, b := entriesByKey(p), entriesByKey(q)
		for k, entries := range a {
			if other, ok := b[k]; ok {
				common++
				if diff := gocmp.Diff(entries, other); diff != "" {
					t.Fatalf("%s (-one +other):\n%s", k, diff)
				}
			}
		}
	})
	if common < 100 {
		t.Errorf("only %d classes in common", common)
	}
}

// Equal keys of identities mean equal sets: of the ends of the universe and of the edges of every
// prefix of both programs.
func TestIdentityKeysLast(t *testing.T) {
	common := 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawModule(t)
		n, _ := next(t, m)
		p, _ := compiler.Compile(m, universe())
		q, _ := compiler.Compile(n, universe())
		if p == nil || q == nil {
			return
		}
		es := ends()
		for _, a := range slices.Concat(p.Tables.Addresses, q.Tables.Addresses) {
			e := es[0]
			e.Workload = ""
			for _, e.Addr = range addrs(a.Prefix.Addr().String(), a.Prefix.Addr().Next().String()) {
				es = append(es, e)
			}
		}
		sets := func(p *program.Program) map[string]string {
			out := make(map[string]string)
			w := newWalk(&p.Tables)
			for i, e := range es {
				key := p.Tables.Identities[w.end(e).identity].Key
				out[key] += fmt.Sprint(i, " ")
			}
			return out
		}
		a, b := sets(p), sets(q)
		for k, set := range a {
			if other, ok := b[k]; ok {
				common++
				if set != other {
					t.Fatalf("%s is %s in one program and %s in the other", k, set, other)
				}
			}
		}
	})
	if common < 100 {
		t.Errorf("only %d identities in common", common)
	}
}

// A program's profiles belong to the lineage: an edit of what a rule asks keeps every key.
func TestProfileKeysSurviveEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModule(t)
		p, _ := compiler.Compile(m, universe())
		for _, policy := range m.Policies {
			for _, b := range []*check.Block{policy.Egress, policy.Ingress} {
				if b == nil {
					continue
				}
				for _, r := range b.Rules {
					if r.L7 != nil && r.L7.Kind == program.L7HTTP {
						r.L7 = &program.L7{Kind: program.L7HTTP, HTTP: drawHTTP(t)}
					}
				}
			}
		}
		q, _ := compiler.Compile(m, universe())
		if p == nil || q == nil {
			return
		}
		keys := func(p *program.Program) (ks []string) {
			for _, f := range p.Tables.Profiles {
				ks = append(ks, f.Key)
			}
			return ks
		}
		if diff := gocmp.Diff(keys(p), keys(q)); diff != "" {
			t.Fatalf("profile keys (-before +after):\n%s", diff)
		}
	})
}
