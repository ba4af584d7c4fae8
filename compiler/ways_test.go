// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
)

// here is a workload of the node behind a device, far one of another node.
func here(name string, ls []program.Label, addresses ...string) program.Workload {
	return program.Workload{Name: name, Labels: ls, Addresses: addrs(addresses...), Interface: "veth-" + name}
}

func far(name string, ls []program.Label, addresses ...string) program.Workload {
	return program.Workload{Name: name, Labels: ls, Addresses: addrs(addresses...)}
}

// Each row is something on which alone hangs who leads to the proxy of requests: Compile with memory sees
// it come and go. Who is only after is there besides; the last policy may be only before.
func TestMemorySeesWaysChange(t *testing.T) {
	web, api := labels("app", "web"), labels("app", "api")
	const asks = `policy web for (app = "web") { egress { out: allow to (app = "api") on tcp/80 http { GET "/" } } }` + "\n"
	const asksItself = `policy web for (app = "web") {
 egress { out: allow to 198.51.100.0/24 on tcp/80 http { GET "/" } }
 ingress { in: allow from any on tcp/80 }
}`
	for _, tt := range []struct {
		name, policy          string
		before, after         []program.Workload
		lastComes, lastLeaves bool
	}{
		{
			name: "a subject in a cgroup", policy: "default allow\n" + asks + `policy cut for (app = "none") { egress { out: allow to 10.0.0.0/8 on tcp/1 } }`,
			before: []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2"), {Name: "x", Labels: web, Cgroup: "x"}},
		},
		{
			name: "who is asked is of this node", policy: "default deny\n" + asks,
			before: []program.Workload{far("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
		},
		{
			name: "who is asked is of another node too", policy: "default deny\n" + asks,
			before: []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("a", api, "10.0.0.1"), far("b", api, "10.0.0.3"), here("w", web, "10.0.0.2")},
		},
		{
			name: "who is asked has gone", policy: "default deny\n" + asks + `policy cut for (app = "none") { egress { out: allow to 198.51.100.0/24 on tcp/1 } }`,
			before: []program.Workload{here("a", api, "10.0.0.1"), far("b", api, "198.51.100.3"), here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
		},
		{
			name: "a stranger", policy: "default allow\n" + `policy web for (app = "web") { egress { out: allow to any on tcp/80 http { GET "/" } } ingress none }` + "\n" +
				`policy other for (app = "other") { ingress { in: allow from any on tcp/80 } }`,
			before: []program.Workload{here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("o", labels("app", "other"), "10.0.0.1"), here("w", web, "10.0.0.2")},
		},
		{
			name: "a stranger whom nobody judges", policy: "default allow\n" +
				`policy web for (app = "web") { ingress { in: allow from any on tcp/80 http { GET "/" } } }`,
			before: []program.Workload{here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("w", web, "10.0.0.2"), {Name: "x", Labels: api, Cgroup: "x"}},
		},
		{
			name: "the subject is not alone", policy: "default deny\n" + asksItself,
			before: []program.Workload{here("w", web, "10.0.0.1", "198.51.100.1")},
			after:  []program.Workload{here("w", web, "10.0.0.1", "198.51.100.1"), here("x", web, "10.0.0.2")},
		},
		{
			name: "the subject is somebody else", policy: "default deny\n" + asksItself,
			before: []program.Workload{here("w", web, "10.0.0.1", "198.51.100.1")},
			after:  []program.Workload{here("w", web, "10.0.0.1"), here("x", web, "198.51.100.1")},
		},
		{
			name: "a class before another", policy: "default deny\n" +
				`policy web for (app = "web") { egress { out: allow to (app = "api") on tcp/80 http { GET "/" }
 more: allow to (aaa = "1") on tcp/1 } }` + "\n" +
				`policy api for (app = "api") { ingress { in: allow from any on tcp/80 } }`,
			before: []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2"), far("x", labels("aaa", "1"), "10.0.0.3")},
		},
		{
			name: "a class of the other table before another", policy: "default deny\n" + asks +
				`policy api for (app = "api") { ingress { in: allow from (app = "web") on tcp/80
 more: allow from (aaa = "1") on tcp/1 } }`,
			before: []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			after:  []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2"), far("x", labels("aaa", "1"), "10.0.0.3")},
		},
		{
			name: "an address that a name may have", policy: "default deny\n" +
				`policy web for (app = "web") { egress { out: allow to "a.example.com" on tcp/80 http { GET "/" }
 rest: allow to 0.0.0.0/0 except 9.9.9.9 on tcp/1 } }`,
			before: []program.Workload{here("w", web, "10.0.0.2")},
			after:  []program.Workload{far("v", labels("app", "v"), "9.9.9.9"), here("w", web, "10.0.0.2")},
		},
		{
			name: "who is asked is judged", policy: "default allow\n" + asks + `policy api for (app = "api") { ingress none }`,
			before:    []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			lastComes: true,
		},
		{
			name: "who is asked is judged by others", policy: "default allow\n" + asks +
				`policy api for (app = "api") { ingress { in: allow from any on tcp/80 } }` + "\n" + `policy more for (app = "api") { ingress { in: deny from any on tcp/80 } }`,
			before:    []program.Workload{here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2")},
			lastComes: true,
		},
		{
			name: "a subject comes from another table", policy: "default allow\n" + asks + `policy x for (env = "x") { egress { out: allow to any on tcp/1 } }`,
			before: []program.Workload{
				here("a", api, "10.0.0.1"), here("w", web, "10.0.0.2"), {Name: "x", Labels: labels("app", "web", "env", "x"), Cgroup: "x"},
			},
			lastLeaves: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, diags := lang.Parse("policy.mpol", []byte("package p\n"+tt.policy))
			m, more := check.Check([]*lang.File{file}, check.Options{})
			if m == nil {
				t.Fatalf("the policy has errors: %v", append(diags, more...))
			}
			fewer := *m
			fewer.Policies = m.Policies[:len(m.Policies)-1]
			first, second := m, m
			if tt.lastComes {
				first = &fewer
			}
			if tt.lastLeaves {
				second = &fewer
			}
			if tt.after == nil {
				tt.after = slices.Clone(tt.before)
			}
			node := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
			var memory compiler.Memory
			var last *program.Program
			for range 2 {
				for _, now := range []struct {
					module    *check.Module
					workloads []program.Workload
				}{{first, tt.before}, {second, tt.after}} {
					inv := program.Inventory{Workloads: now.workloads, Node: node}
					got, diags := memory.Compile(now.module, inv)
					want, _ := compiler.Compile(now.module, inv)
					if want == nil {
						t.Fatalf("not compiled: %v", diags)
					}
					if diff := gocmp.Diff(dump(t, want), dump(t, got)); diff != "" {
						t.Fatalf("program (-want +got):\n%s", diff)
					}
					if last != nil && slices.Equal(last.Tables.ProfileRows, got.Tables.ProfileRows) {
						t.Errorf("the rows are the same before and after: %v", got.Tables.ProfileRows)
					}
					last = got
				}
			}
		})
	}
}
