// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"mpol/compiler/policytest"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// The codes of test lines that did not pass.
const (
	codeTestFailed  diag.Code = "test-failed"  // the policies say otherwise
	codeTestUnclear diag.Code = "test-unclear" // the line leaves open what the verdict depends on
)

func newTest(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "test PATH...",
		Short: "Judge the test blocks of policies",
		Long: `Test checks policies as mpol check does and then judges each line of their test blocks against all of
them. What does not pass is printed with its place, what was expected, what came instead, and what
each half says with the place of the rule.`,
		Args: paths,
	}
	f := addFormat(c, human, asJSON, sarif, github)
	folders := addGuardrails(c)
	today := addToday(c)
	pattern := c.Flags().String("run", "", "run only the tests whose name the regular expression matches")
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := regexp.Compile(*pattern)
		if err != nil {
			return usageError{fmt.Errorf("--run: %w", err)}
		}
		set, err := read(c.Context(), s, args, *folders, today)
		if err != nil {
			return err
		}
		if set.module == nil {
			return set.report(s, *f, set.summary())
		}
		module := only(set.module, name)
		if *pattern != "" && len(module.Tests) == 0 {
			return usageError{fmt.Errorf("--run: no test matches %s", *pattern)}
		}
		results := policytest.Run(module, policytest.Options{})
		set.list = append(set.list, complaints(results)...)
		set.list.Sort(module.Files)
		return set.report(s, *f, testSummary(len(module.Tests), results))
	}
	return c
}

// report writes the diagnostics of a test run and a last line; its error is the exit code.
func (set *policies) report(s streams, f format, last string) error {
	if err := writeDiagnostics(s.out, f, set.list, set.files); err != nil {
		return err
	}
	if f == human {
		if _, err := fmt.Fprintln(s.out, last); err != nil {
			return err
		}
	}
	switch {
	case set.module == nil:
		return outcome(exitPolicy)
	case set.list.HasErrors():
		return outcome(exitFailed)
	}
	return nil
}

// only returns m with the tests whose names match.
func only(m *check.Module, name *regexp.Regexp) *check.Module {
	some := *m
	some.Tests = slices.DeleteFunc(slices.Clone(m.Tests), func(t *check.Test) bool { return !name.MatchString(t.Name) })
	return &some
}

// complaints returns a diagnostic for each result that is no pass; the halves are its other places.
func complaints(results []policytest.Result) diag.List {
	var list diag.List
	for _, r := range results {
		if r.Status == policytest.Pass {
			continue
		}
		d := diag.Diagnostic{
			Code: codeTestFailed, Span: r.Span, Summary: fmt.Sprintf("test %q: %s", r.Test, r.Summary), Help: r.Help,
		}
		if r.Status == policytest.Error {
			d.Code = codeTestUnclear
		}
		d.Related = append(related("egress", r.Egress), related("ingress", r.Ingress)...)
		list = append(list, d)
	}
	return list
}

// related says what a half says and where; nothing for a half that does not exist.
func related(direction string, h policytest.Half) []diag.Related {
	if h.Verdict == "" {
		return nil
	}
	at := diag.Pos{Line: h.Source.Line, Column: h.Source.Column}
	return []diag.Related{{
		Span:    diag.Span{File: h.Source.File, Start: at, End: at},
		Summary: fmt.Sprintf("%s: %s by %s", direction, h.Verdict, h.Rule),
	}}
}

// testSummary says in one line how many tests ran and what became of their lines.
func testSummary(tests int, results []policytest.Result) string {
	counts := map[policytest.Status]int{}
	for _, r := range results {
		counts[r.Status]++
	}
	text := fmt.Sprintf("%s, %s: %d passed", count(tests, "test", "tests"), count(len(results), "line", "lines"), counts[policytest.Pass])
	if n := counts[policytest.Fail]; n > 0 {
		text += fmt.Sprintf(", %d failed", n)
	}
	if n := counts[policytest.Error]; n > 0 {
		text += fmt.Sprintf(", %d unclear", n)
	}
	return text
}
