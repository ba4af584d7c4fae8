// SPDX-License-Identifier: Apache-2.0

package check

import (
	"maps"
	"slices"

	"mpol/compiler/program"
)

// maxAsked bounds the values of a key that a selector is found by.
const maxAsked = 64

// labelIndex finds what stands under selectors that some labels may meet together with another
// selector. Where a selector asks one of a few values of a key, it is found by one of these. The zero
// value is empty.
type labelIndex[T any] struct {
	keys map[string]*labelKey[T]
	free []T // under selectors that ask no value
}

// labelKey is what stands under selectors that ask a value of one key.
type labelKey[T any] struct {
	all    []T
	values map[string][]T
}

// add puts v under s: of the keys whose value s asks, under the one with the fewest others.
func (x *labelIndex[T]) add(s *program.Selector, v T) {
	asked := asks(s)
	if len(asked) == 0 {
		x.free = append(x.free, v)
		return
	}
	best, others := "", -1
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		n := 0
		if at := x.keys[key]; at != nil {
			for _, value := range asked[key] {
				n = max(n, len(at.values[value]))
			}
		}
		if others < 0 || n < others {
			best, others = key, n
		}
	}
	if x.keys == nil {
		x.keys = map[string]*labelKey[T]{}
	}
	at := x.keys[best]
	if at == nil {
		at = &labelKey[T]{values: map[string][]T{}}
		x.keys[best] = at
	}
	at.all = append(at.all, v)
	for _, value := range asked[best] {
		at.values[value] = append(at.values[value], v)
	}
}

// each calls f with lists, each in the order of adding, that hold, among others, all whose selector some
// labels meet together with s.
func (x *labelIndex[T]) each(s *program.Selector, f func([]T)) {
	f(x.free)
	asked := asks(s)
	for key, at := range x.keys {
		values, ok := asked[key]
		if !ok {
			f(at.all)
		}
		for _, value := range values {
			f(at.values[value])
		}
	}
}

// asks returns keys of which whatever meets s has one of a few values, with these values.
func asks(s *program.Selector) map[string][]string {
	switch s.Op {
	case program.OpIn:
		if len(s.Values) <= maxAsked {
			return map[string][]string{s.Key: s.Values}
		}
	case program.OpAnd:
		all := map[string][]string{}
		for _, a := range s.Args {
			for key, values := range asks(a) {
				if old, ok := all[key]; !ok || len(values) < len(old) {
					all[key] = values
				}
			}
		}
		return all
	case program.OpOr:
		var all map[string][]string
		for i, a := range s.Args {
			if one := asks(a); i == 0 {
				all = one
			} else {
				all = either(all, one)
			}
			if len(all) == 0 {
				return nil
			}
		}
		return all
	}
	return nil
}

// either returns what is asked in both a and b.
func either(a, b map[string][]string) map[string][]string {
	both := map[string][]string{}
	for key, values := range a {
		more, ok := b[key]
		if !ok {
			continue
		}
		values = slices.Concat(values, more)
		slices.Sort(values)
		if values = slices.Compact(values); len(values) <= maxAsked {
			both[key] = values
		}
	}
	return both
}
