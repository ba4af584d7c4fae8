// SPDX-License-Identifier: Apache-2.0

// Package place gives our own processes cgroups of their own.
//
// The datapath exempts the agent and Envoy by cgroup id, never by a mark or a name, so each must
// live in a cgroup where nothing else does: outside the root of the governed ones, and not the
// root of the mount, where half of a machine may live. It starts and moves nothing but the agent.
//
//	p, err := place.Open("/sys/fs/cgroup/mpol")
//	err = p.Enter() // the agent itself
//	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(p.Envoy.Fd())}
//
// Invariants: Remove removes only what Open made, and only when it is empty.
package place

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Place is the pair of cgroups. The caller closes it.
type Place struct {
	dir      string
	Envoy    *os.File // its folder, open
	AgentID  uint64
	EnvoyID  uint64
	returnTo string // where the agent came from
}

// Mount returns where cgroup2 is mounted, from /proc/mounts.
func Mount() (string, error) {
	f, err := os.Open("/proc/mounts")
	if err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	return "", errors.New("cgroup2 is not mounted; mount it: mount -t cgroup2 none /sys/fs/cgroup")
}

// Open makes the cgroups agent and envoy below dir, a folder in the cgroup2 mount, unless they are
// there.
func Open(dir string) (*Place, error) {
	p := &Place{dir: dir}
	for _, sub := range []string{"agent", "envoy"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
	}
	var err error
	if p.AgentID, err = ID(filepath.Join(dir, "agent")); err != nil {
		return nil, err
	}
	if p.EnvoyID, err = ID(filepath.Join(dir, "envoy")); err != nil {
		return nil, err
	}
	if p.Envoy, err = os.Open(filepath.Join(dir, "envoy")); err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	return p, nil
}

// ID returns the number by which the kernel knows a cgroup: the inode of its folder.
func ID(folder string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(folder, &st); err != nil {
		return 0, fmt.Errorf("look at cgroup %s: %w", folder, err)
	}
	return st.Ino, nil
}

// Enter moves this process into the agent's cgroup. Sockets made before stay where they were made.
func (p *Place) Enter() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("read own cgroup: %w", err)
	}
	for line := range strings.Lines(string(own)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			p.returnTo = path
		}
	}
	return move(filepath.Join(p.dir, "agent"))
}

// Leave moves this process back to where Enter found it.
func (p *Place) Leave() error {
	if p.returnTo == "" {
		return nil
	}
	mount, err := Mount()
	if err != nil {
		return err
	}
	return move(filepath.Join(mount, p.returnTo))
}

func move(folder string) error {
	pid := strconv.Itoa(os.Getpid())
	if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(pid), 0); err != nil {
		return fmt.Errorf("enter cgroup: %w", err)
	}
	return nil
}

// Close releases the folder of Envoy's cgroup; the cgroups stay.
func (p *Place) Close() error { return p.Envoy.Close() }

// Remove removes dir and the cgroups that Open made in it. What is not there is no error, a cgroup
// that still holds processes is.
func Remove(dir string) error {
	for _, folder := range []string{filepath.Join(dir, "agent"), filepath.Join(dir, "envoy"), dir} {
		if err := syscall.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove cgroup %s: %w", folder, err)
		}
	}
	return nil
}
