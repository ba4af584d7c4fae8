// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"mpol/compiler/policytest"
	"mpol/lang/check"
)

func newTest(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "test PATH...",
		Short: "Judge the test blocks of policies",
		Long: `Test checks policies as mpol check does and then judges each line of their test blocks against all of
them. What does not pass is printed with its place, what was expected, what came instead, what each
half says with the line of the rule, and which rule nearly matched.

Reports go to any number of files at once (-o junit=FILE): human, json (a line an object), junit, tap,
github, gitlab, markdown, sarif. Without a file, or with -, -o takes the standard output.

A test marked todo may fail; one that passes is reported. A run without any test ends with the exit
code 3, so that nobody takes it for one that passed.`,
		Args: paths,
	}
	t := &testRun{streams: s}
	t.format = addFormat(c, human, asJSON, sarif, github)
	t.reading = reading{guardrails: addGuardrails(c), today: addToday(c), inventory: addInventory(c, whoMeets)}
	t.plan, t.cover = addPlan(c), addCover(c)
	c.Flags().VarP(&t.outputs, "output", "o", "write a report (repeatable)")
	watch := c.Flags().Bool("watch", false, "run again whenever a file changes, until interrupted")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := t.plan.prepare(s.now()); err != nil {
			return err
		}
		if err := t.cover.prepare(); err != nil {
			return err
		}
		if *watch && slices.Contains(args, "-") {
			return usageError{errors.New("--watch: the standard input cannot be watched; name files or folders")}
		}
		if *watch {
			return t.watch(c.Context(), args)
		}
		return t.run(c.Context(), args)
	}
	return c
}

// testRun is mpol test as the command line asks for it.
type testRun struct {
	streams streams
	reading reading
	format  *format
	plan    *plan
	cover   *cover
	outputs outputs
}

// run reads the policies, runs their tests once and reports.
func (t *testRun) run(ctx context.Context, args []string) error {
	set, err := t.reading.read(ctx, t.streams, args)
	if err != nil {
		return err
	}
	if err := t.spare(set.files); err != nil {
		return err
	}
	module := set.module
	if module == nil {
		module = &check.Module{}
	}
	r := policytest.NewReport(module, set.text)
	r.Wrong, r.WrongSummary = set.list, set.summary()
	if set.module == nil {
		if err := t.outputs.write(t.streams, *t.format, r); err != nil {
			return err
		}
		return outcome(exitPolicy)
	}
	tests, err := t.plan.pick(module)
	if err != nil {
		return err
	}
	if err := t.plan.perform(ctx, module, tests, r, t.streams.now); err != nil {
		return err
	}
	set.suggest(r)
	if err := t.outputs.write(t.streams, *t.format, r); err != nil {
		return err
	}
	if r.Seed != 0 && t.said() != t.streams.out {
		fmt.Fprintf(t.streams.err, "shuffled with seed %d\n", r.Seed) // which no report for machines has to say
	}
	enough := true
	if t.cover.wanted() {
		if enough, err = t.cover.report(t.said(), module, tests, r); err != nil {
			return err
		}
	}
	switch {
	case r.Failed() || !enough:
		return outcome(exitFailed)
	case len(tests) == 0:
		return fmt.Errorf("no tests in %s", count(len(set.files), "file", "files"))
	}
	return nil
}

// said is where people read: the standard output unless a report for machines has it.
func (t *testRun) said() io.Writer {
	if *t.format != human || t.outputs.taken() {
		return t.streams.err
	}
	return t.streams.out
}
