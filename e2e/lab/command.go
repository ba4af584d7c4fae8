// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Command is a process of a host: in its network namespace, with its resolv.conf, in a cgroup
// of the lab. It is an exec.Cmd but for these methods, which place the process: Start, Run,
// Output and CombinedOutput. The lab ends it at Close if nobody did before.
type Command struct {
	*exec.Cmd
	// Cgroup is where the process is born (CLONE_INTO_CGROUP); nil means the lab's folder
	// "processes".
	Cgroup *Cgroup

	host *Host
}

// Command makes a process ready to start; it is killed when ctx is done.
func (h *Host) Command(ctx context.Context, name string, args ...string) *Command {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 2 * time.Second
	return &Command{Cmd: cmd, host: h}
}

// Start starts the process; the caller waits for it with Wait.
func (c *Command) Start() error {
	if err := c.start(); err != nil {
		return fmt.Errorf("start %s on %s: %w", c.Args[0], c.host.Name, err)
	}
	return nil
}

func (c *Command) start() error {
	cgroup := c.Cgroup
	if cgroup == nil {
		var err error
		if cgroup, err = c.host.lab.Cgroup.Sub("processes"); err != nil {
			return err
		}
	}
	folder, err := os.Open(cgroup.Path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if c.SysProcAttr == nil {
		c.SysProcAttr = new(syscall.SysProcAttr)
	}
	c.SysProcAttr.UseCgroupFD = true
	c.SysProcAttr.CgroupFD = int(folder.Fd())
	return onThread(func() error {
		if err := enterMounts(c.host.resolvConf); err != nil {
			return err
		}
		if err := c.host.enter(); err != nil {
			return err
		}
		return c.Cmd.Start()
	})
}

// Run starts the process and waits for its end.
func (c *Command) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the process and returns what it wrote to its standard output.
func (c *Command) Output() ([]byte, error) {
	var stdout bytes.Buffer
	c.Stdout = &stdout
	err := c.Run()
	return stdout.Bytes(), err
}

// CombinedOutput runs the process and returns what it wrote to both outputs.
func (c *Command) CombinedOutput() ([]byte, error) {
	var both bytes.Buffer
	c.Stdout, c.Stderr = &both, &both
	err := c.Run()
	return both.Bytes(), err
}
