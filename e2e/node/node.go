// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mpol/agent/status"
	"mpol/e2e/lab"
)

// Config says what runs on the node.
type Config struct {
	// Mpol and Envoy are paths of the binaries.
	Mpol, Envoy string
	// Policies is a folder of .mpol files; the node gets a copy, so that tests may edit it.
	Policies string
	// Devices are the workloads behind the world's devices, in its order; at most as many as it has.
	Devices []Workload
	// Services are host workloads: each has a cgroup of its own on the node.
	Services []Workload
	// More is added to the agent's configuration file, whole lines of YAML.
	More string
}

// Workload is a name with labels.
type Workload struct {
	Name   string
	Labels map[string]string
}

// Node is a world with an agent on its node.
type Node struct {
	*lab.World
	// Config is the agent's configuration file, State its state folder, Policies its copy of the
	// policies.
	Config, State, Policies string
	// Events reads the agent's events.
	Events *Tail
	// Log is what the agent has written.
	Log *Log

	mpol     string
	own      string // cgroup of the agent and Envoy
	services map[string]*lab.Cgroup
	agent    *lab.Command
	ended    chan error // gets the agent's end, once
}

// Prepare writes everything that the agent needs and starts nothing.
func Prepare(w *lab.World, cfg Config) (*Node, error) {
	n := &Node{
		World: w, mpol: cfg.Mpol, Log: new(Log), services: map[string]*lab.Cgroup{},
		Config:   filepath.Join(w.Dir, "agent.yaml"),
		State:    filepath.Join(w.Dir, "state"),
		Policies: filepath.Join(w.Dir, "policies"),
		own:      filepath.Join(w.Cgroup.Path, "mpol"),
	}
	n.Events = &Tail{path: filepath.Join(n.State, "events.jsonl")}
	root, err := w.Cgroup.Sub("governed")
	if err != nil {
		return nil, err
	}
	for _, s := range cfg.Services {
		if n.services[s.Name], err = root.Sub(s.Name); err != nil {
			return nil, err
		}
	}
	if err := os.CopyFS(n.Policies, os.DirFS(cfg.Policies)); err != nil {
		return nil, fmt.Errorf("copy policies: %w", err)
	}
	if err := os.WriteFile(n.Config, []byte(n.yaml(root, cfg)), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return n, nil
}

// Start prepares the node, starts the agent and waits until its first generation is in force.
func Start(ctx context.Context, w *lab.World, cfg Config) (*Node, error) {
	n, err := Prepare(w, cfg)
	if err != nil {
		return nil, err
	}
	if err := n.StartAgent(ctx); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	return n, nil
}

// yaml is the agent's configuration, as an administrator would write it.
func (n *Node) yaml(root *lab.Cgroup, cfg Config) string {
	var b strings.Builder
	b.WriteString("workloads:\n")
	for i, d := range cfg.Devices {
		w := n.Workloads[i]
		fmt.Fprintf(&b, "  - {name: %s, labels: %s, addresses: [%q, %q], interface: %s}\n",
			d.Name, flow(d.Labels), w.IPv4, w.IPv6, w.Device)
	}
	for _, s := range cfg.Services {
		fmt.Fprintf(&b, "  - {name: %s, labels: %s, cgroup: %s}\n", s.Name, flow(s.Labels), s.Name)
	}
	fmt.Fprintf(&b, "uplinks: [%s]\npolicies: [policies]\nstate: state\nbpffs: %s/mpol\n", n.Uplink, n.BPFFS)
	fmt.Fprintf(&b, "cgroup_root: %s\nown_cgroup: %s\n", root.Path, n.own)
	fmt.Fprintf(&b, "resolvers: [%q, %q]\nenvoy: %s\n%s", n.Resolver4, n.Resolver6, cfg.Envoy, cfg.More)
	return b.String()
}

// flow is a YAML flow mapping.
func flow(labels map[string]string) string {
	var pairs []string
	for k, v := range labels {
		pairs = append(pairs, fmt.Sprintf("%s: %q", k, v))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ", ") + "}"
}

// Device is workload i of the world as a client.
func (n *Node) Device(i int) lab.Client { return lab.Client{Host: n.Workloads[i].Host} }

// Service is a host workload as a client.
func (n *Node) Service(name string) lab.Client {
	return lab.Client{Host: n.World.Node, Cgroup: n.services[name]}
}

// Envoy is the cgroup in which the agent runs Envoy.
func (n *Node) Envoy() *lab.Cgroup { return &lab.Cgroup{Path: filepath.Join(n.own, "envoy")} }

// KillEnvoy kills Envoy and returns when its sockets are gone; the agent starts another a second
// later.
func (n *Node) KillEnvoy() error {
	pids, err := n.Envoy().Pids()
	if err != nil || len(pids) == 0 {
		return fmt.Errorf("no Envoy runs: %w", errors.Join(err, errors.New("its cgroup is empty")))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill Envoy: %w", err)
		}
	}
	return n.Envoy().WaitEmpty()
}

// Command is the mpol binary with a verb, on the node.
func (n *Node) Command(ctx context.Context, args ...string) *lab.Command {
	return n.World.Node.Command(ctx, n.mpol, args...)
}

// StartAgent starts the agent and waits until a generation is in force. It outlives ctx: Stop ends
// it.
func (n *Node) StartAgent(ctx context.Context) error {
	n.agent = n.Command(context.WithoutCancel(ctx), "agent", "--config", n.Config)
	n.agent.Stdout, n.agent.Stderr = n.Log, n.Log
	if err := n.agent.Start(); err != nil {
		n.agent = nil
		return err
	}
	n.ended = make(chan error, 1)
	go func(agent *lab.Command, ended chan<- error) { ended <- agent.Wait() }(n.agent, n.ended)
	return n.WaitGeneration(ctx, 1)
}

// AwaitEnd waits for the agent to end by itself and returns its exit code.
func (n *Node) AwaitEnd(limit time.Duration) (int, error) {
	select {
	case err := <-n.ended:
		n.ended <- err
		return n.agent.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("the agent runs on after %v", limit)
	}
}

// KillAgent ends the agent by a signal and waits for its end.
func (n *Node) KillAgent(sig syscall.Signal) error {
	if n.agent == nil {
		return nil
	}
	err := n.agent.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	waited := <-n.ended
	n.agent = nil
	if sig == syscall.SIGKILL {
		return err
	}
	return errors.Join(err, waited)
}

// Cleanup runs `mpol agent --cleanup`.
func (n *Node) Cleanup() error {
	out, err := n.Command(context.Background(), "agent", "--config", n.Config, "--cleanup").CombinedOutput()
	if err != nil {
		return fmt.Errorf("clean up: %w: %s", err, out)
	}
	return nil
}

// Stop ends the agent and removes what it left. The world stays.
func (n *Node) Stop() error {
	return errors.Join(n.KillAgent(syscall.SIGTERM), n.Cleanup())
}

// Status asks the agent.
func (n *Node) Status(ctx context.Context) (status.Report, error) { return status.Read(ctx, n.State) }

// WaitGeneration waits until a generation at or after g is in force.
func (n *Node) WaitGeneration(ctx context.Context, g uint32) error {
	err := lab.Wait(30*time.Second, fmt.Sprintf("generation %d", g), func() error {
		select {
		case err := <-n.ended:
			n.ended <- err
			return fmt.Errorf("the agent has ended: %w", errors.Join(err, context.Canceled))
		default:
		}
		r, err := n.Status(ctx)
		switch {
		case err != nil:
			return err
		case r.Generation < g:
			return fmt.Errorf("generation %d is in force; %s", r.Generation, r.Rejected)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w\nthe agent says:\n%s", err, n.Log)
	}
	return nil
}

// Edit replaces text in a policy file in one step, as an editor does.
func (n *Node) Edit(file, old, new string) error {
	path := filepath.Join(n.Policies, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if !strings.Contains(string(text), old) {
		return fmt.Errorf("edit %s: it does not hold %q", file, old)
	}
	changed := strings.Replace(string(text), old, new, 1)
	if err := os.WriteFile(path+".new", []byte(changed), 0o600); err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Apply edits a policy file and waits until the edit is in force.
func (n *Node) Apply(ctx context.Context, file, old, new string) error {
	before, err := n.Status(ctx)
	if err != nil {
		return err
	}
	if err := n.Edit(file, old, new); err != nil {
		return err
	}
	return n.WaitGeneration(ctx, before.Generation+1)
}

// Log collects what a process writes; it may be read while the process runs.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
