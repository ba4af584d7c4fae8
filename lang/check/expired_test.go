// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"testing"
	"time"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

func TestExpired(t *testing.T) {
	file, _ := lang.Parse("p.mpol", []byte(`package p
default deny
workload w = app = "w"
@expires("2026-11-23")
policy q for w {
  ingress { @expires("2026-11-22") a: allow from world on tcp/80 }
  egress none
}
`))
	m, list := check.Check([]*lang.File{file}, check.Options{})
	if list.HasErrors() {
		t.Fatal(list)
	}
	for day, want := range map[int][]int{22: nil, 23: {6}, 24: {4, 6}} { // lines
		got := check.Expired(m, time.Date(2026, 11, day, 23, 59, 0, 0, time.UTC))
		if len(got) != len(want) {
			t.Errorf("on day %d: %v, want lines %v", day, got, want)
			continue
		}
		for i, d := range got {
			if d.Span.Start.Line != want[i] || d.Code != diag.Expired || d.Severity != diag.Warning {
				t.Errorf("on day %d: %v, want a warning at line %d", day, d, want[i])
			}
		}
	}
}
