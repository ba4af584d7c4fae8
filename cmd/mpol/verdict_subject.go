// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"mpol/compiler/program"
)

// selected reports whether a policy is one for w.
func selected(p *program.Policy, w *program.Workload) bool {
	return p.Subject.All || p.Subject.Selector != nil && meets(p.Subject.Selector, w)
}

// meets reports whether the labels of w satisfy a selector.
func meets(s *program.Selector, w *program.Workload) bool {
	value, has := w.Label(s.Key)
	switch s.Op {
	case program.OpIn:
		return has && slices.Contains(s.Values, value)
	case program.OpHas:
		return has
	case program.OpAnd:
		return !slices.ContainsFunc(s.Args, func(a *program.Selector) bool { return !meets(a, w) })
	case program.OpOr:
		return slices.ContainsFunc(s.Args, func(a *program.Selector) bool { return meets(a, w) })
	}
	return !meets(s.Args[0], w)
}
