// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mpol/compiler/program"
)

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestLoad(t *testing.T) {
	c, err := load(t, `
workloads:
  - {name: b, labels: {env: prod, app: web}, addresses: ["::ffff:10.0.0.2", "fd00::2"], interface: veth1}
  - {name: a, labels: {app: svc}, cgroup: svc}
cgroup_root: /sys/fs/cgroup/mpol.slice
policies: [policies]
guardrails: [org, /etc/mpol/guardrails]
state: state
`)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(c.Policies[0]) || !strings.HasSuffix(c.Events.To, "/state/events.jsonl") {
		t.Errorf("paths are not resolved: policies %v, events %s", c.Policies, c.Events.To)
	}
	if g := c.Guardrails; !filepath.IsAbs(g[0]) || filepath.Base(g[0]) != "org" || g[1] != "/etc/mpol/guardrails" {
		t.Errorf("guardrails = %v, want the first below the configuration's folder, the second as it stands", g)
	}
	got := c.Inventory(Discovered{
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")},
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	})
	want := program.Inventory{
		Workloads: []program.Workload{
			{Name: "a", Labels: []program.Label{{Key: "app", Value: "svc"}}, Cgroup: "svc"},
			{
				Name: "b", Labels: []program.Label{{Key: "app", Value: "web"}, {Key: "env", Value: "prod"}},
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
				Interface: "veth1",
			},
		},
		Node:      []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")},
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	}
	opts := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Errorf("Inventory (-want +got):\n%s", d)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"unknown key", "policies: [p]\npolicy: x\n", "agent.yaml: line 2: unknown key policy"},
		{"unknown keys", "policies: [p]\npolicy: x\nttl: {low: 1s}\n", "line 2: unknown key policy; line 3: unknown key low"},
		{"misspelt keys", "polices: [p]\nworkloads: [{name: a, adresses: []}]\n", "line 1: unknown key polices (did you mean policies?); line 2: unknown key adresses (did you mean addresses?)"},
		{"no policies", "uplinks: [eth0]\n", "policies is missing"},
		{"two documents", "policies: [p]\n---\npolicies: [q]\n", "more than one YAML document"},
		{"guardrails", "policies: [p]\nguardrails: [org, '']\n", "guardrails[1] is empty"},
		{"deny", "policies: [p]\ndeny: maybe\n", "write drop or reject"},
		{"refusal", "policies: [p]\ndns_refusal: no\n", "write refused or nxdomain"},
		{"ttl", "policies: [p]\nttl: {min: 2h}\n", "min above max"},
		{"marks", "policies: [p]\nmarks: {loop: 0x6d01}\n", "must differ"},
		{"ports", "policies: [p]\nlisten: {dns: 15100}\n", "keep them apart"},
		{"nameless", "policies: [p]\nworkloads: [{interface: a, addresses: [10.0.0.1]}]\n", "has no name"},
		{"twice", "policies: [p]\nworkloads: [{name: a, addresses: [10.0.0.1]}, {name: a, addresses: [10.0.0.2]}]\n", "name is taken"},
		{"shared address", "policies: [p]\nworkloads: [{name: a, addresses: [10.0.0.1]}, {name: b, addresses: [10.0.0.1]}]\n", "belongs to workload a"},
		{"no root", "policies: [p]\nworkloads: [{name: a, cgroup: x}]\n", "cgroup_root is missing"},
		{"both", "policies: [p]\nworkloads: [{name: a, cgroup: x, interface: y}]\n", "keep one"},
		{"above root", "policies: [p]\ncgroup_root: /x/y\nworkloads: [{name: a, cgroup: ../x}]\n", "must be a path below"},
		{"nothing", "policies: [p]\nworkloads: [{name: a}]\n", "neither addresses nor a cgroup"},
		{"bad address", "policies: [p]\nworkloads: [{name: a, addresses: [10.0.0.256]}]\n", `line 2: "10.0.0.256" is no address; write it like 10.0.0.1 or fd00::1`},
		{"mistyped", "policies: p\nttl: {min: soon}\n", "line 1: expected a list, found `p`; line 2: expected a time such as 30s, found `soon`"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load: got error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

// A program may have a profile for each two ports of the L7 proxy.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		listen Listen
		want   int
	}{
		{DefaultListen(), 450},
		{Listen{L7First: 100, L7Last: 100}, 1},
		{Listen{L7First: 100, L7Last: 104}, 2},
		{Listen{L7First: 1, L7Last: 65535}, 16384},
	} {
		if got := tt.listen.Limits(); got != (program.Limits{Profiles: tt.want}) {
			t.Errorf("the limits of %v are %+v, want %d profiles", tt.listen, got, tt.want)
		}
	}
}
