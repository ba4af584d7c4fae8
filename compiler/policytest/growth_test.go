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

// TestCoverGrowth demands that four times the policies, of which half have tests, take about four times the
// memory to cover, and not sixteen times.
func TestCoverGrowth(t *testing.T) {
	bytes := func(n int) float64 {
		var b strings.Builder
		b.WriteString("package p\ndefault deny\n")
		for i := range n {
			fmt.Fprintf(&b, "workload a%d = app = \"a%d\" and env = \"prod\"\n", i, i)
			fmt.Fprintf(&b, "policy p%d for a%d { ingress { r: allow from a%d on tcp/80 http { GET \"/a\", GET \"/b\" } } egress none }\n", i, i, (i+1)%n)
			if i%2 == 0 {
				fmt.Fprintf(&b, "test \"t%d\" {\n given a = { app = \"a%d\", env = \"prod\" }\n given b = { app = \"a%d\", env = \"prod\" }\n", i, i, (i+1)%n)
				b.WriteString(" allow b -> a on tcp/80 GET \"/a\" at ingress\n}\n")
			}
		}
		m := module(t, "p.mpol", b.String())
		results := policytest.Run(m, policytest.Options{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := policytest.Cover(m, results)
		runtime.ReadMemStats(&after)
		if c.Percent() != 50 || len(c.Atoms) != 2*n {
			t.Fatalf("%s, want one half", c.Summary())
		}
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	one, four := bytes(50), bytes(200)
	t.Logf("%.0f and %.0f bytes", one, four)
	if four > 8*one {
		t.Errorf("50 policies took %.0f bytes and 200 took %.0f, want at most eight times as many", one, four)
	}
}
