// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running Envoy, ours or left by a former agent. The descriptor holds on to exactly
// this process: its number cannot come to mean another.
type process struct {
	pid   int
	pidfd *os.File
	child *exec.Cmd // nil for an adopted process
}

// processState is what the pid file says. The start time and the boot tell whether the number still
// means the same process; Config tells whether it was started as we would start it.
type processState struct {
	PID    int    `json:"pid"`
	Start  string `json:"start"` // /proc/PID/stat, field 22
	Boot   string `json:"boot"`
	Config string `json:"config"` // hash of binary, arguments and bootstrap
}

// open takes hold of a process by number.
func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// run starts Envoy in a session and, if given, a cgroup of its own, so that nothing that ends this
// process ends it.
func (c *Config) run(args []string) (*process, error) {
	// The log of the former Envoy is kept, of those before it none.
	err := os.Rename(c.path(logFileName), c.path(formerLogName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start envoy: %w", err)
	}
	logFile, err := os.OpenFile(c.path(logFileName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start envoy: %w", err)
	}
	defer logFile.Close()
	cmd := exec.Command(c.Envoy, args...)
	cmd.Dir, cmd.Env = c.Dir, []string{}
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start envoy: %w", err)
	}
	p, err := openProcess(cmd.Process.Pid)
	if err == nil {
		err = c.confine(p.pid)
	}
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	p.child = cmd
	return p, nil
}

// confine moves a process that has just begun into the cgroup. It is not born there, by
// CLONE_INTO_CGROUP: once somebody has written cgroup.kill there, Linux 6.18 kills every process that
// is born there from outside. Its first socket comes long after this.
func (c *Config) confine(pid int) error {
	if c.Cgroup == "" {
		return nil
	}
	err := os.WriteFile(filepath.Join(c.Cgroup, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	if err != nil {
		return fmt.Errorf("move envoy to its cgroup: %w", err)
	}
	return nil
}

// wait returns when the process has ended or ctx is done; only the former gives nil.
func (p *process) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch process %d: %w", p.pid, err)
	}
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("watch process %d: %w", p.pid, err)
	}
	if p.child != nil {
		p.child.Wait() // reaps; how it ended is in its log and does not matter here
	}
	return nil
}

// kill ends the process, politely first.
func (p *process) kill(ctx context.Context, grace time.Duration) error {
	polite, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		err := p.signal(signal)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end envoy: %w", err)
		}
		limit := polite
		if signal == unix.SIGKILL {
			limit = ctx
			p.pidfd.SetReadDeadline(time.Time{})
		}
		if err = p.wait(limit); err == nil {
			return nil
		}
	}
	return fmt.Errorf("end envoy: %w", ctx.Err())
}

func (p *process) signal(signal unix.Signal) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), signal, nil, 0) })
	return errors.Join(err, sent)
}

func (p *process) close() { p.pidfd.Close() }

// adopt finds the Envoy of the pid file. It returns nil when there is none or when the number
// means another process by now; same tells whether it was started as we would.
func (c *Config) adopt(config string) (p *process, same bool, err error) {
	text, err := os.ReadFile(c.path(pidFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("adopt envoy: %w", err)
	}
	var was processState
	if err := json.Unmarshal(text, &was); err != nil || was.PID <= 1 {
		return nil, false, nil // a torn file names nobody
	}
	p, err = openProcess(was.PID)
	if errors.Is(err, unix.ESRCH) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("adopt envoy: %w", err)
	}
	now, alive, err := describe(was.PID)
	if err != nil || !alive || now.Start != was.Start || now.Boot != was.Boot {
		p.close()
		return nil, false, nil
	}
	return p, was.Config == config, nil
}

// describe reads what the pid file records; alive is false for a process that has ended.
func describe(pid int) (s processState, alive bool, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, false, fmt.Errorf("describe process %d: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return s, false, fmt.Errorf("describe process %d: %w", pid, err)
	}
	// The name, field 2, is in parentheses and may hold anything.
	_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return s, false, fmt.Errorf("describe process %d: short /proc stat", pid)
	}
	s = processState{PID: pid, Start: fields[19], Boot: strings.TrimSpace(string(boot))}
	return s, fields[0] != "Z" && fields[0] != "X", nil
}
