// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Lab owns hosts, cgroups, servers and files made for one test or one demonstration. Its
// methods may be called from several goroutines. Close it.
type Lab struct {
	// ID is the unique part of every name of this lab, e.g. "4711-9f3c01".
	ID string
	// Dir is a folder for files of this lab; Close removes it.
	Dir string
	// BPFFS is a folder of this lab on bpffs for pins; Close removes it.
	BPFFS string
	// Cgroup is the lab's own folder in cgroup2, below which every process of the lab lives.
	Cgroup *Cgroup

	lock *os.File

	mu      sync.Mutex
	closers []func() error
	closed  bool
	ca      *CA
}

// New makes an empty lab and removes what labs of dead owners left on the machine. It needs
// root, a cgroup2 mount and a bpffs mount; its error says what is missing.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make lab: network namespaces need root")
	}
	if err := checkPlaces(); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	suffix := make([]byte, 3)
	if _, err := rand.Read(suffix); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	id := fmt.Sprintf("%d-%s", os.Getpid(), hex.EncodeToString(suffix))
	lock, err := claim(id)
	if err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	l := &Lab{ID: id, Dir: stateDir(id), lock: lock}
	if err := l.makeFolders(); err != nil {
		return nil, errors.Join(fmt.Errorf("make lab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) makeFolders() error {
	places, err := findPlaces()
	if err != nil {
		return err
	}
	l.BPFFS = filepath.Join(places.bpffs, prefix+l.ID)
	if err := os.Mkdir(l.BPFFS, 0o700); err != nil {
		return err
	}
	l.Cgroup = &Cgroup{Path: filepath.Join(places.cgroup2, prefix+l.ID)}
	return os.Mkdir(l.Cgroup.Path, 0o755)
}

// Close ends every process of the lab and removes all that the lab made. It may be called
// more than once; only the first call works and returns errors.
func (l *Lab) Close() error {
	l.mu.Lock()
	closers, closed := l.closers, l.closed
	l.closers, l.closed = nil, true
	l.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	errs = append(errs, remove(l.ID), l.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close lab %s: %w", l.ID, err)
	}
	return nil
}

// errClosed is returned by what would add to a lab that is closed already.
var errClosed = errors.New("the lab is closed")

// onClose runs fn when the lab is closed, the last registered first. When the lab is closed
// already, as by an interrupt, fn runs at once and the caller gets errClosed.
func (l *Lab) onClose(fn func() error) error {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.closers = append(l.closers, fn)
	}
	l.mu.Unlock()
	if closed {
		return errors.Join(errClosed, fn())
	}
	return nil
}

// flock takes the exclusive lock of file without waiting.
func flock(file *os.File) error {
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
