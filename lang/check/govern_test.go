// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"strings"
	"testing"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// TestOneDirectionOfMany: among many subjects those that are governed in one direction only are found, and
// no other: a subject that many others together cover is governed.
func TestOneDirectionOfMany(t *testing.T) {
	const many = 1000
	var text, values strings.Builder
	text.WriteString("package a\ndefault deny\n")
	for i := range many {
		fmt.Fprintf(&text, "policy out%d for (app = \"%d\") { egress none }\n", i, i)
		fmt.Fprintf(&values, "\"%d\", ", i)
	}
	fmt.Fprintf(&text, "policy all for (app in [%s]) { ingress none }\n", values.String())
	text.WriteString("policy more for (app in [\"1\", \"x\"]) { ingress none }\npolicy both for (app in [\"1\", \"y\"]) { ingress none egress none }\n")
	f, diags := lang.Parse("a.mpol", []byte(text.String()))
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	_, diags = check.Check([]*lang.File{f}, check.Options{})
	if len(diags) != 1 || diags[0].Code != diag.OneDirection || !strings.Contains(diags[0].Summary, `"x"`) {
		t.Errorf("%d warnings, the first ones %v, want one, about x", len(diags), diags[:min(3, len(diags))])
	}
}
