// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// cgroupID is the number by which programs know a cgroup: the inode of its folder.
func cgroupID(folder string) (uint64, error) {
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("cgroup %s does not exist", folder)
	}
	if err != nil {
		return 0, fmt.Errorf("read cgroup: %w", err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// cgroupLevel is the depth of a folder below the cgroup2 mount.
func cgroupLevel(folder string) (uint32, error) {
	mounts, err := os.Open("/proc/mounts")
	if err != nil {
		return 0, err
	}
	defer mounts.Close()
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		rel, err := filepath.Rel(fields[1], folder)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if rel == "." {
			return 0, fmt.Errorf("cgroup_root %s is the mount's root, take a folder below it", folder)
		}
		return uint32(strings.Count(rel, "/") + 1), nil
	}
	return 0, errors.Join(fmt.Errorf("%s lies below no cgroup2 mount", folder), lines.Err())
}

// netnsCookie is the number by which programs know the network namespace of this thread.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("read network namespace cookie: %w", err)
	}
	return cookie, nil
}

// bootTime is the nanoseconds since boot, the clock of the programs.
func bootTime() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read boot time: %w", err)
	}
	return uint64(ts.Nano()), nil
}

// jiffy is the nanoseconds between two ticks of the kernel: the resolution of its coarse clocks.
func jiffy() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil {
		return 0, fmt.Errorf("read the length of a tick: %w", err)
	}
	return uint64(ts.Nano()), nil
}
