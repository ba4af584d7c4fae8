// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
)

// agent is an agent's configuration.
const agent = `policies: [shop.mpol]
state: /var/lib/mpol
cgroup_root: /sys/fs/cgroup/demo
ttl: {min: 5s, max: 1h, grace: 30s}
node_addresses: [192.0.2.1]
resolvers: [192.0.2.53]
workloads:
  - {name: web-1, labels: {app: web}, addresses: ["::ffff:10.0.0.1"], interface: veth1}
  - {name: svc, cgroup: svc}
  - {name: far, addresses: [10.0.0.9]}
`

// world is what the verbs that judge flows are given.
const world = `host: {addresses: [192.0.2.1]}
resolvers: [192.0.2.53]
workloads:
  - {name: web-1, labels: {app: web}, addresses: [10.0.0.1]}
  - {name: svc}
  - {name: far, addresses: [10.0.0.9]}
names:
  - {workload: web-1, name: A.example., addresses: [198.51.100.1]}
  - {workload: host, name: b.example, addresses: [198.51.100.2]}
`

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// Both shapes say the same of who is where.
func TestEveryone(t *testing.T) {
	want := program.Inventory{
		Node: []netip.Addr{addr("192.0.2.1")}, Resolvers: []netip.Addr{addr("192.0.2.53")},
		Workloads: []program.Workload{
			{Name: "far", Addresses: []netip.Addr{addr("10.0.0.9")}, Interface: "far"},
			{Name: "svc", Cgroup: "svc"},
			{Name: "web-1", Labels: []program.Label{{Key: "app", Value: "web"}}, Addresses: []netip.Addr{addr("10.0.0.1")}, Interface: "web-1"},
		},
	}
	opts := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}
	for name, text := range map[string]string{"agent": agent, "world": world} {
		t.Run(name, func(t *testing.T) {
			inv, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := inv.Everyone()
			if name == "agent" {
				got.Workloads[2].Interface = "web-1"
			}
			if diff := cmp.Diff(want, got, opts); err != nil || diff != "" {
				t.Errorf("error %v, Everyone (-want +got):\n%s", err, diff)
			}
			if owner := inv.Owner(addr("::ffff:192.0.2.1")); owner != Host {
				t.Errorf("the node's address is that of %q", owner)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	inv, err := Parse([]byte(world))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(inv.Answers); got != "[{web-1 a.example [198.51.100.1]} {host b.example [198.51.100.2]}]" {
		t.Errorf("answers %s", got)
	}
	if n := len(inv.Taken()); n != 5 {
		t.Errorf("%d addresses are taken, want 5: %v", n, inv.Taken())
	}
}

// Of a node it is said who runs there.
func TestNode(t *testing.T) {
	inv, err := Parse([]byte(agent))
	if err != nil {
		t.Fatal(err)
	}
	node, err := inv.Node()
	if err != nil || node.Workloads[0].Local() || !node.Workloads[1].Local() || !node.Workloads[2].Local() {
		t.Errorf("error %v, workloads %v; want that all but the first are local", err, node.Workloads)
	}
	inv, err = Parse([]byte(world))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inv.Node(); err == nil || err.Error() != `line 5: workload "svc": it has neither addresses nor a cgroup` {
		t.Errorf("error %v", err)
	}
}

// How many profiles a node has listeners for is said by the ports that the agent's configuration gives.
func TestLimits(t *testing.T) {
	for text, want := range map[string]int{
		"workloads: [{name: a}]\n":                                             450,
		"workloads: [{name: a}]\nlisten: {l7_first: 15200}\n":                  400,
		"workloads: [{name: a}]\nlisten: {l7_first: 1000, l7_last: 1009}\n":    5,
		"workloads: [{name: a}]\nlisten: {dns: 53, l7_first: 1, l7_last: 0}\n": 1,
	} {
		inv, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := inv.Limits.Profiles; got != want {
			t.Errorf("%q: %d profiles, want %d", text, got, want)
		}
	}
}

// What is wrong is said with its line, whoever reads.
func TestParseRefuses(t *testing.T) {
	const a = "workloads:\n- {name: a, addresses: [10.0.0.1]}\n"
	for _, tt := range []struct{ text, want string }{
		{"", "the file is empty; it needs workloads"},
		{"{}", "neither workloads nor a host"},
		{"policies: [p]", "neither workloads nor a host"},
		{"--- {workloads: [{name: a, addresses: [10.0.0.1]}]}\n--- {}", "more than one YAML document; keep one"},
		{"workloads:\n- {name: a, adresses: [10.0.0.1]}", "line 2: unknown key adresses (did you mean addresses?)"},
		{a + "nmaes: []", "line 3: unknown key nmaes (did you mean names?)"},
		{a + "polices: []\nttl: {mim: 1s}", "line 3: unknown key polices (did you mean policies?); line 4: unknown key mim (did you mean min?)"},
		{"workloads: [{name: a, addresses: [10.0.0.300]}]", `line 1: "10.0.0.300" is no address; write it like 10.0.0.1 or fd00::1`},
		{a + "- name: b\n  addresses:\n  - 10.0.0.0/24", `line 5: "10.0.0.0/24" is no address; write it like 10.0.0.1 or fd00::1`},
		{a + "- {name: b, addresses: [\"10.0.0.2:80\"]}", `line 3: "10.0.0.2:80" is no address; write it like 10.0.0.1 or fd00::1`},
		{a + "names: [{workload: a, name: a.example, addresses: [1.2.3.4%eth0]}]", `line 3: "1.2.3.4%eth0" is no address; write it like 10.0.0.1 or fd00::1`},
		{a + "resolvers: [ns.example]", `line 3: "ns.example" is no address; write it like 10.0.0.1 or fd00::1`},
		{a + "- {name: b, addresses: 10.0.0.2}", "line 3: expected a list, found `10.0.0.2`"},
		{a + "- {name: b, addresses: [[10.0.0.2]]}", `line 3: expected an address, found a list`},
		{a + "- {name: b, labels: [x], addresses: [10.0.0.2]}", `line 3: expected keys with values, found a list`},
		{a + "- {name: b, labels: {x: {y: z}}, addresses: [10.0.0.2]}", `line 3: expected a text, found keys with values`},
		{a + "- b", "line 3: expected keys with values, found `b`"},
		{a + "host: [10.0.0.2]", "line 3: expected keys with values, found a list"},
		{a + "listen: {dns: 70000}\nttl: {min: often}\nevents: {all: 7}", "line 3: expected a number from 0 to 65535, found `70000`; " +
			"line 4: expected a time such as 30s, found `often`; line 5: expected true or false, found `7`"},
		{"workloads: {a: {addresses: [10.0.0.1]}}", `line 1: expected a list, found keys with values`},
		{"- a", `line 1: expected keys with values, found a list`},
		{"hello", "line 1: expected keys with values, found `hello`"},
		{"---", "neither workloads nor a host"},
		{a + "workloads: []", `line 3: mapping key "workloads" already defined at line 1`},
		{"workloads:\n- name: a\n  name: b", `line 3: mapping key "name" already defined at line 2`},
		{"workloads:\n- name: a\n  labels: {k: v, k: w}", `line 3: mapping key "k" already defined at line 3`},
		{"workloads:\n- &a {name: a, addresses: [10.0.0.1]}\n- {<<: *a, name: b}", `line 3: workload "b": the address 10.0.0.1 is already that of a`},
		{"workloads: [*a]", "unknown anchor 'a' referenced"},
		{"x: &x {name: a, addresses: [10.0.0.1]}\nworkloads: [*x]", "line 1: unknown key x"},
		{"workloads: &w\n- {name: a, labels: *w}", "line 1: expected keys with values, found a list"},
		{"workloads: [{name: a", "line 1: did not find expected ',' or '}'"},
		{"workloads:\n- {addresses: [10.0.0.1]}", `line 2: workload "": it has no name`},
		{a + "- {name: a, addresses: [10.0.0.2]}", `line 3: workload "a": there is another workload of this name in line 2`},
		{a + "- {name: b, addresses: [10.0.0.1]}", `line 3: workload "b": the address 10.0.0.1 is already that of a`},
		{a + "- {name: b, addresses: [\"::ffff:10.0.0.1\"]}", `line 3: workload "b": the address 10.0.0.1 is already that of a`},
		{a + "- {name: b, addresses: [\"fe80::1%eth0\"]}", `line 3: workload "b": the address fe80::1%eth0 has a zone; leave it away`},
		{a + "- {name: b, addresses: [10.0.0.2, 10.0.0.2]}", `line 3: workload "b": the address 10.0.0.2 is already that of b`},
		{a + "- {name: b, addresses: [127.0.0.2]}", `line 3: workload "b": the address 127.0.0.2 is nobody's own`},
		{a + "- {name: b, addresses: [\"::ffff:0.0.0.0\"]}", `line 3: workload "b": the address 0.0.0.0 is nobody's own`},
		{a + "- {name: b, addresses: [\"ff02::1\"]}", `line 3: workload "b": the address ff02::1 is nobody's own`},
		{a + "host: {addresses: [\"::\"]}", `line 3: host: the address :: is nobody's own`},
		{a + "- {name: \"b\\nc\", addresses: [10.0.0.2]}", `line 3: workload "b\nc": its name has characters that cannot be shown`},
		{a + "names: [{workload: a, name: a.example, addresses: [\"fe80::1%eth0\"]}]", `line 3: name "a.example": "fe80::1%eth0" is no address that a name can have`},
		{a + "- {name: b, addresses: [\"\"]}", `line 3: workload "b": an address is empty`},
		{a + "- {name: b, addresses: [10.0.0.2], interface: x, cgroup: y}", `line 3: workload "b": it has both an interface and a cgroup; keep one`},
		{a + "- {name: b, addresses: [10.0.0.2], cgroup: y}", `line 3: workload "b": in a cgroup it shares the node's addresses; remove its own`},
		{"host: {addresses: [10.0.0.1]}\n" + a, `line 3: workload "a": the address 10.0.0.1 is already that of host`},
		{"node_addresses: [10.0.0.1, 10.0.0.1]", `line 1: node_addresses: the address 10.0.0.1 is already that of host`},
		{a + "node_addresses: [10.0.0.2]\nhost: {addresses: [10.0.0.2]}", "line 4: node_addresses and host.addresses are the same thing; keep one"},
		{a + "names:\n- {workload: hots, name: a.example, addresses: [198.51.100.1]}", `line 4: name "a.example": there is no workload "hots"; did you mean "host"?`},
		{a + "names:\n- {workload: a, name: \"a b\", addresses: [198.51.100.1]}", `line 4: name "a b": it is no DNS name`},
		{a + "names:\n- {workload: a, name: a.example}", `line 4: name "a.example": it has no addresses`},
	} {
		t.Run(tt.text, func(t *testing.T) {
			if _, err := Parse([]byte(tt.text)); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// Names that mean something else in a flow are refused where there are flows.
func TestEveryoneRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"workloads:\n- {name: a}", `line 2: workload "a": it has no addresses, and there is no host whose it could share`},
		{"workloads:\n- {name: host, addresses: [10.0.0.1]}", `line 2: workload "host": the name has a meaning of its own; choose another`},
		{"workloads:\n- {name: node, addresses: [10.0.0.1]}", `line 2: workload "node": the name has a meaning of its own; choose another`},
		{"workloads:\n- {name: \"10.0.0.2\", addresses: [10.0.0.1]}", `line 2: workload "10.0.0.2": the name is an address; choose another`},
	} {
		t.Run(tt.text, func(t *testing.T) {
			inv, err := Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := inv.Everyone(); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzParse reads any text as an inventory and compiles for it: it is refused in one line, or there
// is a program.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", agent, world,
		"workloads: []",
		"workloads: [{name: a, labels: {app: web}, addresses: [10.0.0.1, fd00::1], interface: veth-a}]",
		"workloads: [{name: a, addresses: [127.0.0.1]}, {name: b, addresses: [fe80::1%eth0]}]",
		"workloads: [{name: a, cgroup: x}, {name: b, cgroup: x}]",
		"{\"workloads\": [\n\t{\"name\": \"a\", \"addresses\": [\"10.0.0.1\"]}]}",
		"--- {}\n--- {}",
		"a: &a [*a]",
	} {
		f.Add([]byte(seed))
	}
	file, _ := lang.Parse("p.mpol", []byte("package p\n\ndefault allow\n"))
	module, diags := check.Check([]*lang.File{file}, check.Options{})
	if diags.HasErrors() {
		f.Fatal(diags)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		inv, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("inventory %q: the error %q, want one line", text, err)
			}
			return
		}
		for _, read := range []func() (program.Inventory, error){inv.Node, inv.Everyone} {
			who, err := read()
			switch {
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("inventory %q: the error %q, want one line", text, err)
			case err == nil:
				if p, list := compiler.Compile(module, who); p == nil && (len(list) == 0 || list[0].Code != compiler.CodeInventory) {
					t.Errorf("inventory %q: neither a program nor what is wrong with it", text)
				}
			}
		}
	})
}
