// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"mpol/compiler/program"
)

// ErrNamesFull says that an address already belongs to as many live name sets of the workload as
// fit.
var ErrNamesFull = errors.New("no slot is free for another name set of the address")

// SetKey names a name set: the keys of its table and of its class.
type SetKey struct{ Table, Class string }

// Learn opens an address to a workload as each of the sets says, for ttl from now. It returns when
// the kernel has it: an answer may leave then. A set that is there lives for the longer of both
// times; after an error nothing was opened.
func (d *Datapath) Learn(workload string, addr netip.Addr, sets []SetKey, ttl time.Duration) error {
	if err := d.learn(workload, addr, sets, ttl); err != nil {
		return fmt.Errorf("learn %s for %s: %w", addr, workload, err)
	}
	return nil
}

func (d *Datapath) learn(workload string, addr netip.Addr, sets []SetKey, ttl time.Duration) error {
	d.mu.Lock()
	number, ok := d.known.numbers[workload]
	d.mu.Unlock()
	if !ok {
		return errors.New("no such workload is on this node")
	}
	now, err := bootTime()
	if err != nil {
		return err
	}
	if ttl <= 0 {
		return fmt.Errorf("a time to live of %v", ttl)
	}
	key := datapathNameKey{Addr: encodeAddr(addr), Workload: number}
	d.learning.Lock()
	defer d.learning.Unlock()
	var slots datapathSlots
	err = d.objs.Names.Lookup(key, &slots)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read map names: %w", err)
	}
	for _, set := range sets {
		class, err := classNumber(d.cfg.Numbers, set.Table, program.Class{Key: set.Class, Names: true})
		if err != nil {
			return err
		}
		if !fill(&slots, class, now, now+uint64(ttl)) {
			return ErrNamesFull
		}
	}
	err = d.objs.Names.Put(key, slots)
	if isFull(err) {
		if err := d.removeNames(func(_ datapathNameKey, s datapathSlots) bool { return live(s, now) }); err != nil {
			return err
		}
		err = d.objs.Names.Put(key, slots)
	}
	if err != nil {
		return fmt.Errorf("write map names: %w", err)
	}
	return nil
}

// fill puts a name set into a slot: its own, else a free or expired one. It reports whether there
// was one.
func fill(slots *datapathSlots, class uint32, now, expires uint64) bool {
	free := -1
	for i := range slots.Slot {
		s := &slots.Slot[i]
		if s.Class == class && s.Expires > now {
			s.Expires = max(s.Expires, expires)
			return true
		}
		if s.Expires <= now && free < 0 {
			free = i
		}
	}
	if free < 0 {
		return false
	}
	slots.Slot[free] = datapathSlot{Expires: expires, Class: class}
	return true
}

func live(slots datapathSlots, now uint64) bool {
	for _, s := range slots.Slot {
		if s.Expires > now {
			return true
		}
	}
	return false
}

// forgetNames removes what is expired and what workloads learned that are no more.
func (d *Datapath) forgetNames(workloads map[uint32]string) error {
	now, err := bootTime()
	if err != nil {
		return err
	}
	d.learning.Lock()
	defer d.learning.Unlock()
	return d.removeNames(func(k datapathNameKey, s datapathSlots) bool {
		_, known := workloads[k.Workload]
		return known && live(s, now)
	})
}

// removeNames removes the rows that keep refuses.
func (d *Datapath) removeNames(keep func(datapathNameKey, datapathSlots) bool) error {
	names, err := openMirror[datapathNameKey, datapathSlots](datapathMapNames, d.objs.Names)
	if err != nil {
		return err
	}
	for k, s := range names.rows {
		if !keep(k, s) {
			if err := names.remove(k); err != nil {
				return err
			}
		}
	}
	return nil
}
