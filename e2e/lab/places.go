// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"errors"
	"os"
	"strings"
)

// prefix begins the name of everything a lab makes outside its own namespaces.
const prefix = "mpol-lab-"

// places are the mount points of the kernel's file systems that a lab uses.
type places struct {
	cgroup2 string
	bpffs   string
}

// findPlaces reads /proc/mounts. cgroup2 lies at /sys/fs/cgroup on most machines and at
// /sys/fs/cgroup/unified beside cgroup version 1.
func findPlaces() (places, error) {
	mounts, err := os.Open("/proc/mounts")
	if err != nil {
		return places{}, err
	}
	defer mounts.Close()
	var found places
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			continue
		}
		switch target, kind := fields[1], fields[2]; {
		case kind == "cgroup2" && found.cgroup2 == "":
			found.cgroup2 = target
		case kind == "bpf" && found.bpffs == "":
			found.bpffs = target
		}
	}
	return found, lines.Err()
}

// checkPlaces says which mount is missing and how to get it.
func checkPlaces() error {
	found, err := findPlaces()
	switch {
	case err != nil:
		return err
	case found.cgroup2 == "":
		return errors.New("cgroup2 is not mounted: run make setup")
	case found.bpffs == "":
		return errors.New("bpffs is not mounted: run make setup")
	}
	return nil
}
