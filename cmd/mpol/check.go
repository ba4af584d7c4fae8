// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mpol/lang/diag"
)

func newCheck(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "check PATH...",
		Short: "Report every mistake in policies",
		Long: `Check reads .mpol files, folders of them, or the standard input (-), and reports every mistake:
of the text, of what it means, and against the guardrails. It judges no test: mpol test does. Nor does it
ask whether a node has room for them: mpol compile does, for the inventory of a node.

What a file .mpolignore in a folder names, a pattern a line, is left out of that folder and of those
below it, by every verb. A pattern without a slash is a name at any depth (draft-*.mpol, old/), one
with a slash the path from that folder (sub/a.mpol); ** and ! are none.`,
		Args: paths,
	}
	f := addFormat(c, human, asJSON, sarif, github)
	q := reading{guardrails: addGuardrails(c), today: addToday(c), inventory: addInventory(c, whoMeets)}
	c.RunE = func(c *cobra.Command, args []string) error {
		set, err := q.read(c.Context(), s, args)
		if err != nil {
			return err
		}
		return set.report(s, *f, set.summary())
	}
	return c
}

// report writes the diagnostics and a last line; its error is the exit code.
func (set *policies) report(s streams, f format, last string) error {
	if err := writeDiagnostics(s.out, f, set.list, set.texts); err != nil {
		return err
	}
	if f == human {
		if _, err := fmt.Fprintln(s.out, last); err != nil {
			return err
		}
	}
	if set.module == nil {
		return outcome(exitPolicy)
	}
	return nil
}

// summary says in one line what was read and what is wrong with it.
func (set *policies) summary() string {
	errs, warnings := 0, 0
	for _, d := range set.list {
		if d.Severity == diag.Error {
			errs++
		} else {
			warnings++
		}
	}
	text := count(len(set.files), "file", "files")
	if set.module != nil {
		text += ", " + count(len(set.module.Policies), "policy", "policies")
		text += ", " + count(len(set.module.Tests), "test", "tests")
	}
	switch {
	case errs > 0 && warnings > 0:
		return text + ": " + count(errs, "error", "errors") + ", " + count(warnings, "warning", "warnings")
	case errs > 0:
		return text + ": " + count(errs, "error", "errors")
	case warnings > 0:
		return text + ": ok, " + count(warnings, "warning", "warnings")
	}
	return text + ": ok"
}
