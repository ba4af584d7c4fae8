// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"strings"
	"testing"

	"mpol/compiler/policytest"
	"mpol/lang"
	"mpol/lang/check"
)

// BenchmarkRun judges 100,000 lines in tests of 100: under 1 s.
func BenchmarkRun(b *testing.B) {
	const tests, lines = 1000, 100
	var text strings.Builder
	text.WriteString(policy)
	for i := range tests {
		fmt.Fprintf(&text, "test \"t%d\" {\n  given w = { app = \"web\" }\n  given a = { app = \"api\" }\n", i)
		text.WriteString("  given o = 203.0.113.9\n  given dns \"a.example.com\" = 198.51.100.4\n")
		for j := range lines / 4 {
			fmt.Fprintf(&text, "  allow w -> a on tcp/80 by api.web\n  deny w -> a on tcp/%d\n", 3000+j)
			fmt.Fprintf(&text, "  allow w -> a on tcp/8080 GET \"/site/%d\"\n  allow w -> \"a.example.com\" on tcp/443 sni \"a.example.com\"\n", j)
		}
		text.WriteString("}\n")
	}
	file, _ := lang.Parse("t.mpol", []byte(text.String()))
	m, diags := check.Check([]*lang.File{file}, check.Options{})
	if m == nil {
		b.Fatal(diags)
	}
	for b.Loop() {
		results := policytest.Run(m, policytest.Options{})
		if len(results) != tests*lines {
			b.Fatalf("%d lines were judged, want %d", len(results), tests*lines)
		}
		for _, r := range results {
			if r.Status != policytest.Pass {
				b.Fatalf("%s: %s", r.Span, r.Summary)
			}
		}
	}
}
