// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// head begins every policy file: the world's workloads by the names of this package. two and three
// are servers, which let in whatever their clients' policies let out.
const head = `package net
default deny
workload one = app = "one"
workload two = app = "two"
workload three = app = "three"
workload daemon = app = "daemon"
@owner("net") policy servers for (app in ["two", "three"]) { ingress { all: allow from workloads on any } }
`

// policyFile is where setup.policy goes.
const policyFile = "net.mpol"

// daemon is the name of the host workload.
const daemon = "daemon"

// setup describes a node: a world whose workloads are one, two and three behind devices and
// daemon in a cgroup. Denials are answered unless more says otherwise.
type setup struct {
	policy  string            // declarations after head
	files   map[string]string // further policy files by name, whole
	more    string            // lines of the agent's configuration
	records []string          // of the resolver
}

// prepare lays the node out and starts nothing.
func prepare(t *testing.T, s setup) *node.Node {
	t.Helper()
	w := lab.TestWorld(t, lab.WorldConfig{Records: s.records})
	folder := t.TempDir()
	files := map[string]string{policyFile: head + s.policy}
	for name, text := range s.files {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(s.more, "deny:") {
		s.more += "deny: reject\n"
	}
	named := func(name string) node.Workload {
		return node.Workload{Name: name, Labels: map[string]string{"app": name}}
	}
	n, err := node.Prepare(w, node.Config{
		Mpol: binary("mpol"), Envoy: repository(t, ".tools/envoy"), Policies: folder,
		Devices:  []node.Workload{named("one"), named("two"), named("three")},
		Services: []node.Workload{named(daemon)},
		More:     s.more,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// start lays the node out and returns when its first generation is in force. The end of the test
// stops the agent and removes what it left.
func start(t *testing.T, s setup) *node.Node {
	t.Helper()
	n := prepare(t, s)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent says:\n%s", n.Log)
		}
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := n.StartAgent(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// check fails the test at an error of its own machinery.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// step is something tried, with the outcome that the policy demands.
type step struct {
	what      string
	got, want string
}

// compare reports every step that came out otherwise.
func compare(t *testing.T, steps ...step) {
	t.Helper()
	for _, s := range steps {
		if s.got != s.want {
			t.Errorf("%s: %s, want %s", s.what, s.got, s.want)
		}
	}
}

// eventually waits for an outcome that may come a moment after its generation: what only the new
// one allows passes Envoy once no packet is judged by the old one any more.
func eventually(t *testing.T, what, want string, try func() string) {
	t.Helper()
	check(t, lab.Wait(5*time.Second, what, func() error {
		if got := try(); got != want {
			return fmt.Errorf("%s, want %s", got, want)
		}
		return nil
	}))
}

// at is an address with a port.
func at(address string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(address), port)
}
