// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// TestExpired compares dates of every kind of declaration with some days, as who reports them does: there is a
// module all the same, whatever was remembered.
func TestExpired(t *testing.T) {
	const short = `@21 package p
@22 default deny
@23 workload w = app = "w"
@23 cidrs c = 203.0.113.0/24
@23 domains d = "a.example.com"
@23 service s = tcp/80
@23 resolver r = w on udp/53
@23 tier t order 1 default pass
@23 policy q for w {
  ingress { @22 a: allow from world on tcp/80 }
  egress none
}
@24 test "t" { deny 203.0.113.1 -> host on tcp/80 }
@24 prove "p" { never from world to host on tcp/80 }
@expires("soon") service z = tcp/81
`
	text := regexp.MustCompile(`@(\d+) `).ReplaceAllString(short, `@expires("2026-11-$1") `)
	file, diags := lang.Parse("p.mpol", []byte(text))
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	var memory check.Memory
	for _, tt := range []struct {
		day  int
		want string
	}{
		{21, "bad-date 15"},
		{21, "bad-date 15"},
		{22, "expired 1, bad-date 15"},
		{23, "expired 1, expired 2, expired 10, bad-date 15"},
		{23, "expired 1, expired 2, expired 10, bad-date 15"},
		{25, "expired 1, expired 2, expired 3, expired 4, expired 5, expired 6, expired 7, expired 8, expired 9, expired 10, expired 13, expired 14, bad-date 15"},
	} {
		opt := check.Options{Today: time.Date(2026, 11, tt.day, 23, 59, 0, 0, time.UTC), Dates: diag.Warning}
		m, list := memory.Check([]*lang.File{file}, opt)
		if m == nil {
			t.Fatalf("day %d: no module: %v", tt.day, list)
		}
		var got []string
		for _, d := range list {
			got = append(got, fmt.Sprintf("%s %d", d.Code, d.Span.Start.Line))
			if d.Severity != diag.Warning {
				t.Errorf("day %d: %v is no warning", tt.day, d)
			}
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("day %d (-want +got):\n%s", tt.day, diff)
		}
		opt.Dates = diag.Error
		if m, _ := memory.Check([]*lang.File{file}, opt); m != nil {
			t.Errorf("day %d: a module all the same", tt.day)
		}
	}
}
