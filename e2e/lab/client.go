// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os/exec"
)

// Client runs client programs on a host and, for a host workload, in its cgroup.
type Client struct {
	Host *Host
	// Cgroup is where the programs run; nil means outside every workload's cgroup.
	Cgroup *Cgroup
}

// Command makes a process of the client's host and cgroup ready to start.
func (c Client) Command(ctx context.Context, name string, args ...string) *Command {
	cmd := c.Host.Command(ctx, name, args...)
	cmd.Cgroup = c.Cgroup
	return cmd
}

// Result is how a client program ended.
type Result struct {
	// Exit is the exit code, or -1 when the program did not start or was killed.
	Exit   int
	Stdout string
	Stderr string
	// Err says why the program did not run to its end; an exit code is no such error.
	Err error
}

// run runs a program to its end.
func (c Client) run(ctx context.Context, name string, args ...string) Result {
	cmd := c.Command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{Exit: -1, Stdout: stdout.String(), Stderr: stderr.String(), Err: err}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		result.Err = nil
	}
	if result.Err == nil {
		result.Exit = cmd.ProcessState.ExitCode()
	}
	return result
}

// Ping sends one ICMP echo request and waits a second for its answer. Exit 0: it came; 1: it
// did not.
func (c Client) Ping(ctx context.Context, address netip.Addr) Result {
	return c.run(ctx, "ping", "-n", "-c1", "-W1", address.String())
}
