// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h: an RCU grace period.
const membarrierGlobal = 1

// Stage is a generation that is written and not in force, then in force and not swept. It ends with
// Sweep or Abort.
type Stage struct {
	d         *Datapath
	want      *target
	journal   journal
	committed bool
}

// Stage writes p beside the live generation; no packet is judged by it yet. ports gives the port of
// a profile's listener. An error leaves the node as it was. There is one Stage at a time: an earlier
// one must have ended.
func (d *Datapath) Stage(p *program.Program, ports func(profile string) (uint16, bool)) (*Stage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.staged {
		return nil, errors.New("stage generation: another one is under way")
	}
	want, err := lower(p, d.cfg.Numbers, ports)
	if err == nil {
		err = want.place(&d.cfg, p.Tables.Subjects)
	}
	if err != nil {
		return nil, fmt.Errorf("stage generation %d: %w", d.state.generation+1, err)
	}
	s := &Stage{d: d, want: want}
	if err := d.state.write(&s.journal, want); err != nil {
		return nil, errors.Join(fmt.Errorf("stage generation %d: %w", d.state.generation+1, err), s.journal.rollback())
	}
	d.staged = true
	// Names of both generations are known: events of the old one may still come.
	maps.Copy(d.known.workloads, want.names.workloads)
	maps.Copy(d.known.rules, want.names.rules)
	maps.Copy(d.known.numbers, want.names.numbers)
	return s, nil
}

// Generation is the number of the generation, from 1.
func (s *Stage) Generation() uint32 {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.committed {
		return s.d.state.generation
	}
	return s.d.state.generation + 1
}

// Commit attaches to the devices and cgroups that are new, which are closed until then, and puts
// the generation into force by one write. After an error the old one is in force, what is new is
// detached, and the caller calls Abort.
func (s *Stage) Commit() error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.committed {
		return errors.New("commit generation: it is in force already")
	}
	first := len(d.links.open) == 0
	former, steering := d.cfg.Steering, d.cfg.Steering
	steering.Devices = s.want.named
	if d.state.generation == 0 || former.Devices == nil {
		former = steering
	}
	if err := former.SetUp(); err != nil {
		return fmt.Errorf("commit generation %d: %w", d.state.generation+1, err)
	}
	before := maps.Clone(d.links.open)
	err := d.links.attach(s.want.links)
	if err == nil {
		err = steering.setUpNFT() // a new device opens when it carries our programs
	}
	if err == nil {
		err = d.state.flip()
	}
	if err == nil {
		s.committed = true
		d.cfg.Steering = steering
		return nil
	}
	errs := []error{fmt.Errorf("commit generation %d: %w", d.state.generation+1, err)}
	for name := range d.links.open {
		if before[name] == nil {
			errs = append(errs, d.links.detach(name))
		}
	}
	if first {
		errs = append(errs, d.cfg.Steering.Remove())
	} else {
		errs = append(errs, former.setUpNFT())
	}
	return errors.Join(errs...)
}

// Sweep waits until no packet is judged by the old generation and removes what only that one used.
// After an error it may be called again; until it succeeds more is kept than needed, and nothing is
// open that should not be.
func (s *Stage) Sweep() error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if !s.committed {
		return errors.New("sweep generation: it is not in force")
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("sweep generation %d: wait for the old one: %w", d.state.generation, errno)
	}
	err := errors.Join(
		d.links.keepOnly(s.want.links),
		d.state.sweep(s.want),
		d.forgetNames(s.want.names.workloads),
		d.removeOtherLayouts(),
	)
	if err != nil {
		return fmt.Errorf("sweep generation %d: %w", d.state.generation, err)
	}
	d.staged = false
	return nil
}

// Abort takes a generation back that is not in force.
func (s *Stage) Abort() error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.committed {
		return errors.New("abort generation: it is in force")
	}
	if err := s.journal.rollback(); err != nil {
		return fmt.Errorf("abort generation: %w", err)
	}
	d.staged = false
	return nil
}

// removeOtherLayouts takes away what a process of another layout left; it judged until now.
func (d *Datapath) removeOtherLayouts() error {
	found, err := filepath.Glob(filepath.Join(d.cfg.BPFFS, "layout-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range found {
		if dir != d.dir {
			errs = append(errs, detachAll(filepath.Join(dir, linksFolder)), os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
