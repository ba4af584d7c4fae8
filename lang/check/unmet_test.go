// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
)

// TestUnmet: with an inventory, and with one alone, a selector that nobody meets is a warning.
func TestUnmet(t *testing.T) {
	text := `package a
default deny
workload web = app = "web" and not has old
workload wbe = app = "wbe"
policy p for (app in ["x", "web"]) { ingress { a: allow from (app = "gone"), web, wbe on tcp/1 } egress none }
policy q for (has gone or has old) { ingress none egress none }
`
	web := program.Workload{Name: "web-1", Labels: []program.Label{{Key: "app", Value: "web"}}}
	for _, tt := range []struct {
		name      string
		inventory []program.Workload
		want      []string
	}{
		{"none", nil, nil},
		{"one", []program.Workload{web}, []string{"a.mpol:4:10 unmet", "a.mpol:5:62 unmet", "a.mpol:6:8 unmet"}},
		{"empty", []program.Workload{}, []string{"a.mpol:3:10 unmet", "a.mpol:4:10 unmet", "a.mpol:5:8 unmet", "a.mpol:5:62 unmet", "a.mpol:6:8 unmet"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, _ := lang.Parse("a.mpol", []byte(text))
			m, diags := check.Check([]*lang.File{file}, check.Options{Inventory: tt.inventory})
			if m == nil {
				t.Fatal(diags)
			}
			var got []string
			for _, d := range diags {
				got = append(got, fmt.Sprint(d.Span, " ", d.Code))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
