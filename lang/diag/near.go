// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"fmt"
	"slices"
)

// maxNames bounds the names among which DidYouMean looks.
const maxNames = 5000

// DidYouMean returns help that names the one of names that is nearest to text, empty when none is near.
func DidYouMean(text string, names []string) string {
	best := Nearest(text, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean `%s`?", best)
}

// Nearest returns the one of names that text was probably meant to be, empty when none is near: a
// third of its letters may be wrong, and one of them has to be right.
// Of two that are as near, the one that begins as text does is taken.
func Nearest(text string, names []string) string {
	if len(names) > maxNames {
		return ""
	}
	best, distance := "", min(max(1, len(text)/3)+1, len(text))
	for _, n := range slices.Sorted(slices.Values(names)) {
		d := edits(text, n)
		if d < distance || d == distance && best != "" && n[0] == text[0] && best[0] != text[0] {
			best, distance = n, d
		}
	}
	return best
}

// edits counts insertions, deletions, substitutions and swaps of neighbours between a and b.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 65
	}
	var before, prev []int
	for j := range len(b) + 1 {
		prev = append(prev, j)
	}
	for i := range len(a) {
		row := []int{i + 1}
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			d := min(prev[j]+cost, prev[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row = append(row, d)
		}
		before, prev = prev, row
	}
	return prev[len(b)]
}
