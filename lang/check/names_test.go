// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mpol/compiler/program"
)

// TestNameSets compares whether sets of patterns meet, and what one leaves of another, with what holding each
// pattern against each says.
func TestNameSets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	some := func() []program.NamePattern {
		ps := make([]program.NamePattern, 1+random.IntN(6))
		for i := range ps {
			labels := []string{"a", "b", "c", "d", "a*", "*b"}
			p := []string{"", "", "*.", "**.", "x*."}[random.IntN(5)]
			for range 1 + random.IntN(3) {
				p += labels[random.IntN(len(labels))] + "."
			}
			ps[i] = program.NamePattern(p + []string{"example", "com", "org"}[random.IntN(3)])
		}
		return ps
	}
	met, covered := 0, 0
	const runs = 3000
	for range runs {
		a, b := some(), some()
		want := slices.ContainsFunc(a, func(x program.NamePattern) bool { return slices.ContainsFunc(b, x.Meets) })
		if got := nameSetOf([]program.Domain{{Patterns: a}}).meet(nameSetOf([]program.Domain{{Patterns: b}})); got != want {
			t.Errorf("%v and %v meet: %v, want %v", a, b, got, want)
		}
		left := slices.DeleteFunc(slices.Clone(a), func(x program.NamePattern) bool {
			return slices.ContainsFunc(b, func(y program.NamePattern) bool { return y.Covers(x) })
		})
		if got := nameSetOf([]program.Domain{{Patterns: b}}).uncovered(a); !slices.Equal(got, left) {
			t.Errorf("%v leaves %v of %v, want %v", b, got, a, left)
		}
		if want {
			met++
		}
		if len(left) < len(a) {
			covered++
		}
	}
	if met < runs/10 || met > 9*runs/10 || covered < runs/100 {
		t.Errorf("%d of %d sets meet, %d cover something", met, runs, covered)
	}
}

// TestNameSets_growth counts the pairs that are compared, each of which allocates.
func TestNameSets_growth(t *testing.T) {
	many := func(format string, n int) nameSet {
		var ps []program.NamePattern
		for i := range n {
			ps = append(ps, program.NamePattern(fmt.Sprintf(format, i)))
		}
		return nameSetOf([]program.Domain{{Patterns: ps}})
	}
	for _, other := range []string{"*.b%d.example.com", "b%d.example.com", "x.b%d.example.org", "**.c.b%d.example.com"} {
		a, b := many("*.a%d.example.com", 2000), many(other, 2000)
		met := false
		if got := testing.AllocsPerRun(1, func() { met = a.meet(b) }); met || got > 20*2000 {
			t.Errorf("%s meets 2000 others: %v, found with %.0f allocations", other, met, got)
		}
	}
}
