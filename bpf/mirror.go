// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mirror is a kernel map with a copy of its rows in memory, so that only differences are written.
type mirror[K, V comparable] struct {
	name string
	m    *ebpf.Map
	rows map[K]V
}

// openMirror reads the rows that the map has.
func openMirror[K, V comparable](name string, m *ebpf.Map) (*mirror[K, V], error) {
	r := &mirror[K, V]{name: name, m: m, rows: map[K]V{}}
	var k K
	var v V
	it := m.Iterate()
	for it.Next(&k, &v) {
		r.rows[k] = v
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read map %s: %w", name, err)
	}
	return r, nil
}

func (r *mirror[K, V]) put(k K, v V) error {
	err := r.m.Put(k, v)
	if isFull(err) {
		return fmt.Errorf("write map %s: it is full with %d rows", r.name, r.m.MaxEntries())
	}
	if err != nil {
		return fmt.Errorf("write map %s: %w", r.name, err)
	}
	r.rows[k] = v
	return nil
}

// isFull reports whether a map had no room: a hash says one thing, a trie another.
func isFull(err error) bool { return errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) }

func (r *mirror[K, V]) remove(k K) error {
	if err := r.m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("delete from map %s: %w", r.name, err)
	}
	delete(r.rows, k)
	return nil
}

// journal remembers how to undo writes, the last first.
type journal struct{ undo []func() error }

func (j *journal) rollback() error {
	var errs []error
	for i := len(j.undo) - 1; i >= 0; i-- {
		errs = append(errs, j.undo[i]())
	}
	j.undo = nil
	return errors.Join(errs...)
}

// write puts one row unless it is there already.
func write[K, V comparable](j *journal, r *mirror[K, V], k K, v V) error {
	old, had := r.rows[k]
	if had && old == v {
		return nil
	}
	// Noted first: a failed write may have happened.
	j.undo = append(j.undo, func() error {
		if had {
			return r.put(k, old)
		}
		return r.remove(k)
	})
	return r.put(k, v)
}

// writeAll puts rows whose keys never change their meaning.
func writeAll[K, V comparable](j *journal, r *mirror[K, V], want map[K]V) error {
	for k, v := range want {
		if err := write(j, r, k, v); err != nil {
			return err
		}
	}
	return nil
}

// keepOnly removes the rows that are not wanted.
func keepOnly[K, V comparable, X any](r *mirror[K, V], want map[K]X) error {
	for k := range r.rows {
		if _, ok := want[k]; !ok {
			if err := r.remove(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// turning says how a row holds a value for now and another for from a generation on.
type turning[V, X any] struct {
	pack func(now, next X, from uint32) V
	at   func(v V, generation uint32) X
}

// writeTurns gives each row the value wanted from the coming generation on and leaves its present
// value as it is. before and after are what a key without a row means, now and then.
func writeTurns[K, V, X comparable](
	j *journal, r *mirror[K, V], t turning[V, X], live uint32, want map[K]X, before, after func(K) X,
) error {
	for k, next := range want {
		now := before(k)
		if v, had := r.rows[k]; had {
			now = t.at(v, live)
		}
		if err := writeTurn(j, r, t, k, now, next, live); err != nil {
			return err
		}
	}
	for k, v := range r.rows {
		if _, ok := want[k]; ok {
			continue
		}
		if err := writeTurn(j, r, t, k, t.at(v, live), after(k), live); err != nil {
			return err
		}
	}
	return nil
}

func writeTurn[K, V, X comparable](
	j *journal, r *mirror[K, V], t turning[V, X], k K, now, next X, live uint32,
) error {
	if now == next {
		return write(j, r, k, t.pack(now, now, 0))
	}
	return write(j, r, k, t.pack(now, next, live+1))
}

// settle leaves of each row the wanted value alone.
func settle[K, V, X comparable](r *mirror[K, V], t turning[V, X], want map[K]X) error {
	if err := keepOnly(r, want); err != nil {
		return err
	}
	for k, x := range want {
		v := t.pack(x, x, 0)
		if r.rows[k] == v {
			continue
		}
		if err := r.put(k, v); err != nil {
			return err
		}
	}
	return nil
}
