// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cgroup is a folder in the cgroup2 mount.
type Cgroup struct {
	// Path is absolute, e.g. "/sys/fs/cgroup/mpol-lab-4711-9f3c01/services/api".
	Path string
}

// Sub makes the folder name below c, with its parents, or takes the one that is there. The
// name may have slashes.
func (c *Cgroup) Sub(name string) (*Cgroup, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("make cgroup %q: the name leaves its parent", name)
	}
	if _, err := os.Stat(c.Path); err != nil { // removed with its lab, and not to come back
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	sub := &Cgroup{Path: filepath.Join(c.Path, name)}
	if err := os.MkdirAll(sub.Path, 0o755); err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	return sub, nil
}

// ID is the number that bpf_skb_cgroup_id and its kin give: the inode of the folder.
func (c *Cgroup) ID() (uint64, error) {
	info, err := os.Stat(c.Path)
	if err != nil {
		return 0, fmt.Errorf("read cgroup id: %w", err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// Kill ends every process in c and below it and waits until the last one is gone. Some kernels
// kill also what is born into c later (CLONE_INTO_CGROUP): c is good only for Remove then.
func (c *Cgroup) Kill() error {
	if err := os.WriteFile(filepath.Join(c.Path, "cgroup.kill"), []byte("1"), 0); err != nil {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return c.WaitEmpty()
}

// Pids are the processes in c itself.
func (c *Cgroup) Pids() ([]int, error) {
	text, err := os.ReadFile(filepath.Join(c.Path, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("read processes of cgroup: %w", err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("read processes of cgroup: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// WaitEmpty waits until the last thread in c and below it has given up its files and sockets.
func (c *Cgroup) WaitEmpty() error {
	return Wait(10*time.Second, "empty cgroup "+c.Path, func() error {
		events, err := os.ReadFile(filepath.Join(c.Path, "cgroup.events"))
		if err != nil {
			return err
		}
		if !strings.Contains(string(events), "populated 0") {
			return errors.New("processes are still running")
		}
		return nil
	})
}

// Remove kills what runs in c and below it and removes the folders. A folder that is gone
// already is no error.
func (c *Cgroup) Remove() error {
	if _, err := os.Stat(c.Path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := c.Kill(); err != nil {
		return err
	}
	var folders []string
	err := filepath.WalkDir(c.Path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if err := syscall.Rmdir(folders[i]); err != nil {
			return fmt.Errorf("remove cgroup %s: %w", folders[i], err)
		}
	}
	return nil
}
