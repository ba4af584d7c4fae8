// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"slices"

	"mpol/compiler/program"
)

// Selects reports whether a policy is one for a workload.
func Selects(s program.Subject, w *program.Workload) bool {
	return s.All || s.Selector != nil && Meets(s.Selector, w)
}

// Meets reports whether the labels of w satisfy a selector.
func Meets(s *program.Selector, w *program.Workload) bool {
	value, has := w.Label(s.Key)
	switch s.Op {
	case program.OpIn:
		return has && slices.Contains(s.Values, value)
	case program.OpHas:
		return has
	case program.OpAnd:
		return !slices.ContainsFunc(s.Args, func(a *program.Selector) bool { return !Meets(a, w) })
	case program.OpOr:
		return slices.ContainsFunc(s.Args, func(a *program.Selector) bool { return Meets(a, w) })
	}
	return !Meets(s.Args[0], w)
}

// leaves returns the comparisons of a selector, in its order.
func leaves(s *program.Selector) []*program.Selector {
	if s.Op == program.OpIn || s.Op == program.OpHas {
		return []*program.Selector{s}
	}
	var out []*program.Selector
	for _, a := range s.Args {
		out = append(out, leaves(a)...)
	}
	return out
}

// replaceLeaf returns s with another selector in the place of leaf i.
func replaceLeaf(s *program.Selector, i int, by *program.Selector) *program.Selector {
	if s.Op == program.OpIn || s.Op == program.OpHas {
		if i == 0 {
			return by
		}
		return s
	}
	out := *s
	out.Args = slices.Clone(s.Args)
	for j, a := range s.Args {
		n := len(leaves(a))
		if i >= 0 && i < n {
			out.Args[j] = replaceLeaf(a, i, by)
		}
		i -= n
	}
	return &out
}

// constant returns a selector that every workload meets, or none.
func constant(holds bool) *program.Selector {
	has := &program.Selector{Op: program.OpHas, Key: "k"}
	op := program.OpAnd
	if holds {
		op = program.OpOr
	}
	return &program.Selector{Op: op, Args: []*program.Selector{has, {Op: program.OpNot, Args: []*program.Selector{has}}}}
}

// maxLabelings bounds how many sets of labels are tried for one selector.
const maxLabelings = 4096

// labelings returns sets of labels that meet a selector, those with the fewest labels first.
func labelings(s *program.Selector) [][]program.Label {
	if s == nil {
		return [][]program.Label{{}}
	}
	options := map[string][]string{}
	for _, l := range leaves(s) {
		for _, v := range append(slices.Clone(l.Values), "other") {
			if !slices.Contains(options[l.Key], v) {
				options[l.Key] = append(options[l.Key], v)
			}
		}
	}
	keys := make([]string, 0, len(options))
	for k := range options {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	sets := [][]program.Label{{}}
	for _, k := range keys {
		for _, set := range sets[:len(sets):len(sets)] {
			for _, v := range options[k] {
				if len(sets) < maxLabelings {
					sets = append(sets, append(slices.Clone(set), program.Label{Key: k, Value: v}))
				}
			}
		}
	}
	sets = slices.DeleteFunc(sets, func(set []program.Label) bool { return !Meets(s, &program.Workload{Labels: set}) })
	slices.SortStableFunc(sets, func(a, b []program.Label) int { return len(a) - len(b) })
	return sets[:min(len(sets), 4)]
}
