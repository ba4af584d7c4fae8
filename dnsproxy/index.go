// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"strings"

	"mpol/compiler/program"
)

// index finds the few domains of many that a name may be in: those with a pattern that ends in the
// same two labels, and those that cannot be told apart by them.
type index struct {
	byTail map[string][]int
	rest   []int
}

// add adds the domain with a number; numbers ascend.
func (x *index) add(number int, d program.Domain) {
	for _, p := range d.Patterns {
		key, ok := tail(p.Labels())
		switch {
		case !ok:
			x.addRest(number)
		case x.byTail == nil:
			x.byTail = map[string][]int{key: {number}}
		default:
			x.byTail[key] = append(x.byTail[key], number)
		}
	}
}

// addRest adds what every name may be in.
func (x *index) addRest(number int) { x.rest = append(x.rest, number) }

// each calls f with the numbers of the domains that n may be in, some of them more than once.
func (x *index) each(n program.Name, f func(number int)) {
	for _, i := range x.rest {
		f(i)
	}
	key, _ := tail(n)
	for _, i := range x.byTail[key] {
		f(i)
	}
}

// tail joins the last two labels, or the only one; ok is false when one of them is a pattern. Two
// names with a dot inside a label may share it: it only chooses whom to ask.
func tail(labels []string) (key string, ok bool) {
	key = strings.Join(labels[max(0, len(labels)-2):], ".")
	return key, !strings.Contains(key, "*")
}
