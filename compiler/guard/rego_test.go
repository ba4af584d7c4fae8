// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"mpol/policies"
)

// TestBuiltin runs the Rego tests of every built-in guardrail, which reach each of its lines, and
// demands a page that names it.
func TestBuiltin(t *testing.T) {
	suites, err := Test(t.Context(), "policies/guardrails", policies.Guardrails())
	if err != nil {
		t.Fatal(err)
	}
	index, err := fs.ReadFile(policies.Guardrails(), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		name := s.Guardrail.Name
		t.Run(name, func(t *testing.T) {
			for _, d := range s.Diagnostics {
				t.Errorf("%s: %s", d.Span, d.Summary)
			}
			page, err := fs.ReadFile(policies.Guardrails(), path.Join(name, "README.md"))
			if err != nil || !strings.HasPrefix(string(page), "# "+name+"\n") {
				t.Errorf("page %.20q, %v: want one titled %s", page, err, name)
			}
			if !strings.Contains(string(index), "["+name+"]("+name+"/README.md)") {
				t.Errorf("policies/guardrails/README.md does not list %s", name)
			}
			if s.Skipped > 0 {
				t.Errorf("%d tests are skipped", s.Skipped)
			}
		})
	}
}

// TestFormatted compares every Rego file with what opa fmt makes of it.
func TestFormatted(t *testing.T) {
	files, err := fs.Glob(policies.Guardrails(), "*/*.rego")
	if err != nil || len(files) == 0 {
		t.Fatalf("Rego files: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(policies.Guardrails(), file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := format.SourceWithOpts(file, text, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatalf("format %s: %v", file, err)
		}
		if *update {
			if err := os.WriteFile("../../policies/guardrails/"+file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(string(text), string(want)); diff != "" {
			t.Errorf("%s (-) is not formatted (+):\n%s\nfix: go test ./compiler/guard -run TestFormatted -update", file, diff)
		}
	}
}

const (
	suiteRule = `package mpol.guardrails.x

deny contains {"span": p.span, "message": message(p), "help": "h"} if {
	some p in input.module.policies
	p.name != "good"
}

message(p) := "short" if count(p.name) < 3

message(p) := "long" if {
	count(p.name) >= 3
	p.doc != "é"
}
`
	suiteTest = `package mpol.guardrails.x_test

import data.mpol.guardrails.x

test_allows_good if count(x.deny) == 0 with input as named("good")

test_denies_short if {
	some d in x.deny with input as named("ab")
	d.message == "short"
}

named(name) := {"module": {"policies": [{"name": name, "span": "s"}]}}
`
)

func TestTest(t *testing.T) {
	long := suiteTest + "\ntest_denies_long if {\n\tsome d in x.deny with input as " +
		`{"module": {"policies": [{"name": "long", "span": "s", "doc": ""}]}}` + "\n\td.message == \"long\"\n}\n"
	tests := []struct {
		name, rule, test string
		want             []string
		counts           [5]int // passed, failed, skipped, lines, covered
	}{
		{"covered", suiteRule, long, nil, [5]int{3, 0, 0, 7, 7}},
		{"uncovered", suiteRule, suiteTest, []string{
			"guard-uncovered at org/x/x.rego:10:1: no test of guardrail x reaches line 10",
			"guard-uncovered at org/x/x.rego:12:1: no test of guardrail x reaches line 12",
		}, [5]int{2, 0, 0, 7, 5}},
		{"nothing reached", suiteRule, "package mpol.guardrails.x_test\n\ntest_allows_x if true\n\ntest_denies_x if true\n", []string{
			"guard-uncovered at org/x/x.rego:3:1: no test of guardrail x reaches line 3",
			"guard-uncovered at org/x/x.rego:5:1: no test of guardrail x reaches line 5",
			"guard-uncovered at org/x/x.rego:8:1: no test of guardrail x reaches line 8",
			"guard-uncovered at org/x/x.rego:10:1: no test of guardrail x reaches lines 10 to 12",
		}, [5]int{2, 0, 0, 6, 0}},
		{"failing", suiteRule, long + "\ntest_denies_good if count(x.deny) == 1 with input as named(\"good\")\n", []string{
			"guard-test-failed at org/x/x_test.rego:19:1: test_denies_good does not hold",
		}, [5]int{3, 1, 0, 7, 7}},
		{"error", suiteRule, long + "\ntest_denies_number if to_number(named(\"x\").module.policies[0].name) == 1\n", []string{
			"guard-test-failed at org/x/x_test.rego:19:1: test_denies_number cannot be judged: org/x/x_test.rego:19: eval_builtin_error: " +
				"to_number: strconv.ParseFloat: parsing \"x\": invalid syntax",
		}, [5]int{3, 1, 0, 7, 7}},
		{"skipped", suiteRule, long + "\ntodo_test_denies_more if count(x.deny) == 1\n", nil, [5]int{3, 0, 1, 7, 7}},
		{"no test of a kind", suiteRule, strings.NewReplacer("test_allows_", "test_", "test_denies_", "test_").Replace(long), []string{
			"guard-test-failed at org/x/x_test.rego:1:1: no test_allows_... shows what guardrail x lets through",
			"guard-test-failed at org/x/x_test.rego:1:1: no test_denies_... or test_warns_... shows what guardrail x stops",
		}, [5]int{3, 0, 0, 7, 7}},
		{"warns", suiteRule, strings.ReplaceAll(long, "test_denies_", "test_warns_"), nil, [5]int{3, 0, 0, 7, 7}},
		{"no tests", suiteRule, "", []string{
			"guard-test-failed at org/x/x.rego:1:1: guardrail x has no x_test.rego beside it",
		}, [5]int{}},
		{"broken guardrail", suiteRule + "\nx :=", long, []string{
			"guard-failed at org/x/x.rego:15:4: guardrail x does not compile: unexpected eof token",
			"guard-failed at org/x/x.rego:15:4: guardrail x does not compile: unexpected eof token: expected rule value term (e.g., x := <VALUE> { ... })",
		}, [5]int{}},
		{"broken test", suiteRule, suiteTest + "\ntest_denies_x if y.deny\n", []string{
			"guard-failed at org/x/x_test.rego:14:18: guardrail x_test does not compile: var y is unsafe",
		}, [5]int{}},
		{"no Rego", suiteRule, "package", []string{
			"guard-failed at org/x/x_test.rego:1:7: guardrail x_test does not compile: unexpected eof token",
		}, [5]int{}},
		{"a clock in a test", suiteRule, suiteTest + "\ntest_allows_x if time.now_ns() > 0\n", []string{
			"guard-failed at org/x/x_test.rego:14:18: guardrail x_test does not compile: undefined function time.now_ns",
		}, [5]int{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := fstest.MapFS{"x/x.rego": {Data: []byte(tt.rule)}}
			if tt.test != "" {
				folder["x/x_test.rego"] = &fstest.MapFile{Data: []byte(tt.test)}
			}
			suites, err := Test(t.Context(), "org", folder)
			if err != nil || len(suites) != 1 {
				t.Fatalf("Test = %v, %v, want one suite", suites, err)
			}
			s := suites[0]
			var got []string
			for _, d := range s.Diagnostics {
				got = append(got, string(d.Code)+" at "+d.Span.String()+": "+d.Summary)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.counts, [5]int{s.Passed, s.Failed, s.Skipped, s.Lines, s.Covered}); diff != "" {
				t.Errorf("passed, failed, skipped, lines, covered (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTestCannot(t *testing.T) {
	if _, err := Test(t.Context(), "org", fstest.MapFS{}); err == nil {
		t.Error("Test of an empty folder: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := fstest.MapFS{"x/x.rego": {Data: []byte(suiteRule)}, "x/x_test.rego": {Data: []byte(suiteTest)}}
	if _, err := Test(ctx, "org", folder); !errors.Is(err, context.Canceled) {
		t.Errorf("Test = %v, want the error of the context", err)
	}
}
