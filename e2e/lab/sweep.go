// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	stateRoot = "/run/mpol-lab"
	netnsRoot = "/run/netns"
	lockName  = "lock"
)

// stateDir is the folder of the lab's files. It holds the lock that tells the living from
// the dead: the kernel frees it with its owner.
func stateDir(id string) string { return filepath.Join(stateRoot, id) }

// claim makes and locks the state folder of a new lab and removes the labs of dead owners.
// One lock over the whole root keeps a sweep from meeting a folder that is not locked yet.
func claim(id string) (*os.File, error) {
	if err := os.MkdirAll(stateRoot, 0o755); err != nil {
		return nil, err
	}
	root, err := os.Open(stateRoot)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := lockBlocking(root); err != nil {
		return nil, fmt.Errorf("lock %s: %w", stateRoot, err)
	}
	if err := sweep(root); err != nil {
		return nil, err
	}
	if err := os.Mkdir(stateDir(id), 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Create(filepath.Join(stateDir(id), lockName))
	if err != nil {
		return nil, err
	}
	if err := flock(lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// lockBlocking waits for the exclusive lock of file; a signal does not end the wait.
func lockBlocking(file *os.File) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// sweep removes every lab whose lock is free. The caller holds the lock of the root.
func sweep(root *os.File) error {
	entries, err := root.ReadDir(-1)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		lock, err := os.OpenFile(filepath.Join(stateDir(entry.Name()), lockName), os.O_RDWR, 0)
		if err == nil && flock(lock) != nil {
			lock.Close() // its owner lives
			continue
		}
		if err == nil {
			lock.Close()
		}
		errs = append(errs, remove(entry.Name()))
	}
	return errors.Join(errs...)
}

// remove removes all that the lab of this id made outside the memory of its owner: processes
// first, the state folder last, so that an interrupted removal is taken up by a later sweep.
func remove(id string) error {
	found, err := findPlaces()
	if err != nil {
		return err
	}
	var errs []error
	if found.cgroup2 != "" {
		errs = append(errs, (&Cgroup{Path: filepath.Join(found.cgroup2, prefix+id)}).Remove())
	}
	errs = append(errs, removeNamespaces(id))
	if found.bpffs != "" {
		errs = append(errs, os.RemoveAll(filepath.Join(found.bpffs, prefix+id)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove lab %s: %w", id, err)
	}
	return os.RemoveAll(stateDir(id))
}

// removeNamespaces unmounts and removes the named network namespaces of a lab.
func removeNamespaces(id string) error {
	entries, err := os.ReadDir(netnsRoot)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix+id+"-") {
			continue
		}
		path := filepath.Join(netnsRoot, entry.Name())
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", path, err))
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
