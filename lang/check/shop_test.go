// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

const shopPath = "../../policies/examples/shop/shop.mpol"

func shop(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(shopPath)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestShop checks the example without a single diagnostic, warnings included.
func TestShop(t *testing.T) {
	file, diags := lang.Parse("shop.mpol", shop(t))
	m, more := check.Check([]*lang.File{file}, check.Options{Today: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)})
	for _, d := range append(diags, more...) {
		t.Errorf("%s: %s: %s", d.Span, d.Code, d.Summary)
	}
	if m == nil {
		t.Fatal("no module")
	}
	if got, want := len(m.Policies), 5; got != want {
		t.Errorf("policies = %d, want %d", got, want)
	}
	before, _, _ := strings.Cut(string(shop(t)), "admin: deny")
	want := fmt.Sprintf("shop.mpol:%d:5", strings.Count(before, "\n")+1)
	if got := m.Policies[1].Ingress.Rules[2].PlaceSpan.String(); got != want {
		t.Errorf("place of cart.admin = %s, want %s", got, want)
	}
}

// TestLongChain names a thousand and one workloads in a row: an error, not a stack overflow.
func TestLongChain(t *testing.T) {
	var b strings.Builder
	b.WriteString("package a\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "workload w%d = w%d\n", i, i+1)
	}
	b.WriteString("workload w50000 = has x\n")
	file, _ := lang.Parse("a.mpol", []byte(b.String()))
	m, diags := check.Check([]*lang.File{file}, check.Options{})
	if m != nil || len(diags) == 0 || diags[0].Code != diag.TooDeep {
		t.Errorf("Check = %v, %v, want too-deep", m, diags)
	}
}

// FuzzCheck looks for a panic, for a module beside an error, and for a result that differs the
// second time.
func FuzzCheck(f *testing.F) {
	examples, err := filepath.Glob("../../policies/examples/*/*.mpol")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range goldenInputs(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, parsed := lang.Parse("a.mpol", []byte(text))
		m, diags := check.Check([]*lang.File{file}, check.Options{})
		if bad := parsed.HasErrors() || diags.HasErrors(); (m == nil) != bad {
			t.Fatalf("module is nil: %v, errors: %v", m == nil, bad)
		}
		var memory check.Memory
		for range 2 {
			if _, again := memory.Check([]*lang.File{file}, check.Options{}); len(diags) != len(again) {
				t.Fatalf("a further Check gives %d diagnostics, the first %d", len(again), len(diags))
			}
		}
	})
}
