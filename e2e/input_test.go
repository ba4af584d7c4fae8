// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mpol/e2e/node"
)

// mistake is something wrong with what an administrator gives to the agent.
type mistake struct {
	name string
	// old and new replace text in the configuration; both may hold words of words().
	old, new string
	// files are policy files that replace the good ones.
	files map[string]string
	// gone names a configuration that does not exist.
	gone bool
	// nobody runs the agent without root.
	nobody bool
	// disturb changes the node before and returns what undoes it.
	disturb func(t *testing.T, n *node.Node) (undo func())

	code int
	want []string // parts of what it says
	// shown says that it shows the place in the policy; else it says one sentence.
	shown bool
}

func mistakes() []mistake {
	return []mistake{
		{
			name: "bad policy", files: map[string]string{"bad.mpol": head + "policy one for one { egress { a: alow to two on tcp/1 } }\n"},
			code: 2, want: []string{"bad.mpol:8:34", "alow", "allow"}, shown: true,
		},
		{
			name: "policy file that is no UTF-8", files: map[string]string{"bad.mpol": "package net # \xff\n"},
			code: 2, want: []string{"bad.mpol:1:15", "UTF-8"}, shown: true,
		},
		{
			name: "policy without its default", files: map[string]string{"bad.mpol": "package net\nworkload one = app = \"one\"\npolicy one for one { egress none }\n"},
			code: 2, want: []string{"bad.mpol:3", "default"}, shown: true,
		},
		{name: "no root", nobody: true, code: 3, want: []string{"root"}},
		{name: "missing configuration", gone: true, code: 3, want: []string{"agent.gone.yaml"}},
		{name: "missing device", old: "interface: w2", new: "interface: nosuch0", code: 3, want: []string{"workload two", "nosuch0"}},
		{name: "missing cgroup", old: "cgroup: daemon}", new: "cgroup: nosuch}", code: 3, want: []string{"workload daemon", "nosuch"}},
		{name: "missing uplink", old: "uplinks: [uplink]", new: "uplinks: [nosuch0]", code: 3, want: []string{"uplink nosuch0"}},
		{name: "missing Envoy", old: "/.tools/envoy", new: "/.tools/nosuch", code: 3, want: []string{"nosuch", "Envoy", "make setup"}},
		{name: "Envoy that is none", old: "/.tools/envoy", new: "/go.mod", code: 3, want: []string{"go.mod", "Envoy", "make setup"}},
		{name: "missing policies", old: "policies: [policies]", new: "policies: [nosuch]", code: 3, want: []string{"nosuch", "no such file"}},
		{name: "folder without policies", files: map[string]string{"README": "empty\n"}, code: 3, want: []string{"no .mpol file"}},
		{name: "unreadable policies", files: map[string]string{"a.mpol/x": "a folder\n"}, code: 3, want: []string{"no .mpol file"}},
		{name: "unknown key", old: "uplinks:", new: "uplink:", code: 3, want: []string{"line 6: unknown key uplink"}},
		{name: "bad value", old: "deny: reject", new: "deny: maybe", code: 3, want: []string{"drop or reject"}},
		{name: "cgroup_root is the whole mount", old: "cgroup_root: ROOT", new: "cgroup_root: MOUNT", code: 3, want: []string{"cgroup_root", "MOUNT"}},
		{name: "cgroup_root outside the mount", old: "cgroup_root: ROOT", new: "cgroup_root: /tmp", code: 3, want: []string{"/tmp"}},
		{name: "missing cgroup_root", old: "cgroup_root: ROOT", new: "cgroup_root: ROOT/nosuch", code: 3, want: []string{"ROOT/nosuch"}},
		{name: "own cgroup below the governed ones", old: "own_cgroup: ", new: "own_cgroup: ROOT/", code: 3, want: []string{"own_cgroup", "outside"}},
		{name: "bpffs folder not on bpffs", old: "bpffs: PINS", new: "bpffs: DIR/pins", code: 3, want: []string{"DIR/pins", "bpffs"}},
		{name: "state is a file", old: "state: state", new: "state: agent.yaml", code: 3, want: []string{"agent.yaml", "state"}},
		{
			name: "port taken", disturb: takePort, code: 3, want: []string{"15053", "address already in use"},
		},
	}
}

// takePort listens where the DNS proxy wants to.
func takePort(t *testing.T, n *node.Node) func() {
	t.Helper()
	var taken interface{ Close() error }
	check(t, n.World.Node.Do(func() (err error) {
		taken, err = n.World.Node.Listen(at("127.0.0.1", 15053))
		return err
	}))
	return func() { taken.Close() }
}

// TestBadInput starts agents on what cannot work: each says why, ends with the right code and
// leaves nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	n := prepare(t, setup{policy: "@owner(\"net\") policy one for one { egress { a: allow to \"a.example\" on tcp/80 http { GET \"/**\" } } }\n"})
	good, err := os.ReadFile(n.Config)
	check(t, err)
	words := strings.NewReplacer("ROOT", filepath.Dir(n.Service(daemon).Cgroup.Path),
		"MOUNT", filepath.Dir(n.Cgroup.Path), "DIR", n.Dir, "PINS", n.BPFFS+"/mpol")
	before := traces(t, n)
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			old := words.Replace(m.old)
			if !strings.Contains(string(good), old) {
				t.Fatalf("the configuration lacks %q", old)
			}
			path := filepath.Join(n.Dir, "agent.bad.yaml")
			if m.gone {
				path = filepath.Join(n.Dir, "agent.gone.yaml")
			} else {
				text := strings.Replace(string(good), old, words.Replace(m.new), 1)
				if len(m.files) > 0 {
					text = strings.Replace(text, "policies: [policies]", "policies: ["+write(t, m.files)+"]", 1)
				}
				check(t, os.WriteFile(path, []byte(text), 0o644))
			}
			if m.disturb != nil {
				defer m.disturb(t, n)()
			}
			code, said := runAgent(t, n, path, m.nobody)
			if code != m.code {
				t.Errorf("exit code %d, want %d", code, m.code)
			}
			for _, part := range m.want {
				if !strings.Contains(said, words.Replace(part)) {
					t.Errorf("it says %q, want %q in it", said, words.Replace(part))
				}
			}
			if got := strings.Count(said, "\n"); !m.shown && got != 1 {
				t.Errorf("it says %d lines, want one sentence: %s", got, said)
			}
			compareTraces(t, n, before)
		})
	}
	t.Run("all good", func(t *testing.T) {
		check(t, n.StartAgent(t.Context()))
		check(t, n.Stop())
		compareTraces(t, n, before)
	})
}

// write puts files into a folder of their own.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return folder
}

// runAgent runs an agent that must end by itself.
func runAgent(t *testing.T, n *node.Node, config string, nobody bool) (code int, said string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := n.Command(t.Context(), "agent", "--config", config)
	cmd.Stderr = &stderr
	if nobody {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	check(t, cmd.Start())
	stop := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop.Stop()
	_ = cmd.Wait() // its code says it
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// TestStatus_noAgent asks for the status of a node without an agent.
func TestStatus_noAgent(t *testing.T) {
	t.Parallel()
	n := prepare(t, setup{})
	got := verb(t, n, "status")
	if got.code != 3 || !strings.Contains(got.stderr, "no agent runs") || got.stdout != "" {
		t.Errorf("mpol status: %+v, want exit code 3 and that no agent runs", got)
	}
	if err := n.Cleanup(); err != nil {
		t.Errorf("clean up of a node without anything: %v", err)
	}
}

// said is how a verb ended and what it wrote.
type said struct {
	code           int
	stdout, stderr string
}

// verb runs a verb with the node's configuration.
func verb(t *testing.T, n *node.Node, args ...string) said {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := n.Command(t.Context(), append(args, "--config", n.Config)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its code says it
	return said{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
