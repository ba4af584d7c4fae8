// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"mpol/compiler/policytest"
)

// TestGrowth demands that four times the parties and lines take about four times the memory, and not sixteen
// times.
func TestGrowth(t *testing.T) {
	bytes := func(n int) float64 {
		var b strings.Builder
		b.WriteString("package a\ndefault deny\npolicy p for (has app) { ingress none egress { allow to (has app) on tcp/80 } }\ntest \"t\" {\n")
		for i := range n {
			fmt.Fprintf(&b, " given w%d = { app = \"w%d\" }\n", i, i)
		}
		for i := range n {
			fmt.Fprintf(&b, " deny w%d -> w%d on tcp/80\n", i, (i+1)%n)
		}
		m := module(t, "a.mpol", b.String()+"}\n")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		results := policytest.Run(m, policytest.Options{})
		runtime.ReadMemStats(&after)
		if len(results) != n || results[n-1].Status != policytest.Pass {
			t.Fatalf("%d results, the last %v", len(results), results[n-1])
		}
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	one, four := bytes(100), bytes(400)
	t.Logf("%.0f and %.0f bytes", one, four)
	if four > 8*one {
		t.Errorf("100 lines took %.0f bytes and 400 took %.0f, want at most eight times as many", one, four)
	}
}
