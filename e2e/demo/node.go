// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mpol/agent/status"
	"mpol/e2e/lab"
)

// node is the machine under demonstration: the world with an agent in it.
type node struct {
	*lab.World
	// report is a host workload: a process of the node in a cgroup of its own.
	report lab.Client

	mpol     string // the binary
	config   string // the agent's configuration file
	state    string
	policies string // the copy of the shop's folder
	agent    *lab.Command
	log      *bytes.Buffer
}

// start lays out the world and starts the agent on it.
func start(ctx context.Context, mpol, envoy, shop string) (*node, error) {
	w, err := lab.NewWorld(ctx, lab.WorldConfig{})
	if err != nil {
		return nil, err
	}
	n := &node{
		World: w, mpol: mpol, log: new(bytes.Buffer),
		config:   filepath.Join(w.Dir, "agent.yaml"),
		state:    filepath.Join(w.Dir, "state"),
		policies: filepath.Join(w.Dir, "shop"),
	}
	if err := n.prepare(ctx, envoy, shop); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	return n, nil
}

func (n *node) prepare(ctx context.Context, envoy, shop string) error {
	root, err := n.Cgroup.Sub("governed")
	if err != nil {
		return err
	}
	group, err := root.Sub("report")
	if err != nil {
		return err
	}
	n.report = lab.Client{Host: n.Node, Cgroup: group}
	if err := os.CopyFS(n.policies, os.DirFS(shop)); err != nil {
		return err
	}
	if err := os.WriteFile(n.config, []byte(n.yaml(root, envoy)), 0o600); err != nil {
		return err
	}
	if err := n.serveShop(); err != nil {
		return err
	}
	return n.startAgent(ctx)
}

// yaml is the agent's configuration, as an administrator would write it.
func (n *node) yaml(root *lab.Cgroup, envoy string) string {
	var b strings.Builder
	b.WriteString("workloads:\n")
	for i, app := range []string{"web", "cart", "payments"} {
		w := n.Workloads[i]
		fmt.Fprintf(&b, "  - {name: %s, labels: {app: %s, env: prod}, addresses: [%q, %q], interface: %s}\n",
			names[i], app, w.IPv4, w.IPv6, w.Device)
	}
	b.WriteString("  - {name: report, labels: {app: report, env: prod}, cgroup: report}\n")
	fmt.Fprintf(&b, "uplinks: [%s]\npolicies: [shop]\nstate: state\nbpffs: %s/mpol\n", n.Uplink, n.BPFFS)
	fmt.Fprintf(&b, "cgroup_root: %s\nown_cgroup: %s/mpol\n", root.Path, n.Cgroup.Path)
	fmt.Fprintf(&b, "resolvers: [%q, %q]\nenvoy: %s\n", n.Resolver4, n.Resolver6, envoy)
	b.WriteString("deny: reject # so that this demonstration need not wait for time-outs\n")
	b.WriteString("events: {all: true}\n")
	return b.String()
}

// names are the workloads behind devices, in the order of the world's.
var names = [...]string{"web", "cart", "pay"}

func (n *node) startAgent(ctx context.Context) error {
	n.agent = n.Node.Command(context.WithoutCancel(ctx), n.mpol, "agent", "--config", n.config)
	n.agent.Stdout, n.agent.Stderr = n.log, n.log
	if err := n.agent.Start(); err != nil {
		return err
	}
	return n.waitGeneration(ctx, 1)
}

// waitGeneration waits until the agent says that a generation at or after g is in force.
func (n *node) waitGeneration(ctx context.Context, g uint32) error {
	err := lab.Wait(30*time.Second, fmt.Sprintf("generation %d", g), func() error {
		r, err := status.Read(ctx, n.state)
		switch {
		case err != nil:
			return err
		case r.Generation < g:
			return fmt.Errorf("generation %d is in force; %s", r.Generation, r.Rejected)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w\nthe agent says:\n%s", err, n.log)
	}
	return nil
}

// stop ends the agent, removes what it made and closes the world.
func (n *node) stop() error {
	var errs []error
	if n.agent != nil && n.agent.Process != nil {
		errs = append(errs, n.agent.Process.Signal(syscall.SIGTERM), n.agent.Wait())
		clean := n.Node.Command(context.Background(), n.mpol, "agent", "--config", n.config, "--cleanup")
		if out, err := clean.CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("clean up: %w: %s", err, out))
		}
	}
	return errors.Join(append(errs, n.Close())...)
}

// edit replaces text in the shop's policy file in one step, as an editor does.
func (n *node) edit(old, new string) error {
	path := filepath.Join(n.policies, "shop.mpol")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(old)) {
		return fmt.Errorf("edit %s: it does not hold %q", filepath.Base(path), old)
	}
	text = bytes.Replace(text, []byte(old), []byte(new), 1)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// dump shows the agent's log when something went wrong.
func (n *node) dump(w io.Writer) {
	if n.log.Len() > 0 {
		fmt.Fprintf(w, "\nthe agent's log:\n%s", n.log)
	}
}
