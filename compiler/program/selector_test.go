// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"testing"
)

// TestLabel looks for each label, and for others, among few and many.
func TestLabel(t *testing.T) {
	for n := range 3 * fewLabels {
		w := &Workload{}
		for i := range n {
			w.Labels = append(w.Labels, Label{fmt.Sprintf("k%02d", i), fmt.Sprint(i)})
		}
		for i := range n + 1 {
			value, ok := w.Label(fmt.Sprintf("k%02d", i))
			if ok != (i < n) || ok && value != fmt.Sprint(i) {
				t.Errorf("of %d labels, the value of k%02d is %q, %v", n, i, value, ok)
			}
		}
		if value, ok := w.Label("a"); ok {
			t.Errorf("of %d labels, the value of a is %q", n, value)
		}
	}
}
