// SPDX-License-Identifier: Apache-2.0

package check

import "slices"

// distinct returns list, which it changes, with each item only where it stands first.
func distinct[T comparable](list []T) []T {
	if len(list) < 2 {
		return list
	}
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		before := seen[v]
		seen[v] = true
		return before
	})
}
