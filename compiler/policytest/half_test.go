// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"strings"
	"testing"

	"mpol/compiler/policytest"
)

// TestHalfAlone: what a line says at one half is judged though the other half denies the flow before any
// request is read.
func TestHalfAlone(t *testing.T) {
	const text = `package p
default deny
workload a = app = "a"
workload b = app = "b"
policy a for a { ingress { site: allow from any on tcp/80 http { GET "/site/**" } } egress none }
policy b for b { egress { site: allow to any on tcp/81 http { GET "/site/**" } } ingress none }
test "t" {
  given a = { app = "a" }
  given b = { app = "b" }
  `
	for _, line := range []string{
		`allow b -> a on tcp/80 GET "/site/x" by a.site at ingress # pass`,
		`allow b -> a on tcp/80 GET "/other" at ingress # fail: expected allow at ingress, got deny at ingress by app.default`,
		`deny b -> a on tcp/80 GET "/other" by app.default at ingress # pass`,
		`deny b -> a on tcp/80 GET "/site/x" by app.default at egress # pass`,
		`deny b -> a on tcp/80 GET "/site/x" # pass`,
		`allow b -> a on tcp/80 at ingress # error: the verdict depends on the request: the flow must speak http`,
		`allow b -> a on tcp/81 GET "/site/x" by b.site at egress # pass`,
		`allow b -> a on tcp/81 GET "/other" at egress # fail: expected allow at egress, got deny at egress by app.default`,
		`deny b -> a on tcp/81 GET "/other" by app.default at ingress # pass`,
	} {
		line, want, _ := strings.Cut(line, " # ")
		t.Run(line, func(t *testing.T) {
			r := policytest.Run(module(t, "t.mpol", text+line+"\n}\n"), policytest.Options{})[0]
			if got := strings.TrimSuffix(r.Status.String()+": "+r.Summary, ": "); !strings.HasPrefix(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if r.Judge != nil && !(r.Got.Egress.Exists && r.Got.Ingress.Exists) {
				t.Error("a half is not told")
			}
		})
	}
}
