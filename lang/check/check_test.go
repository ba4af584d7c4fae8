// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"encoding/json"
	"os"
	"testing"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

func TestShop(t *testing.T) {
	const path = "../../policies/examples/shop/shop.mpol"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, diags := lang.Parse("shop.mpol", text)
	m, more := check.Check([]*lang.File{file}, check.Options{})
	for _, d := range append(diags, more...) {
		t.Errorf("%s: %s: %s", d.Span, d.Code, d.Summary)
	}
	if m == nil {
		t.Fatal("no module")
	}
	b, _ := json.MarshalIndent(m, "", " ")
	t.Logf("%s", b)
	_ = diag.Syntax
}
