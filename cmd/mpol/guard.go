// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mpol/compiler/guard"
	"mpol/lang/diag"
	builtin "mpol/policies"
)

func newGuard(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "guard",
		Short: "Test guardrails, the rules about policies",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("say what to do: mpol guard test or mpol guard schema")}
			}
			return usageError{fmt.Errorf("unknown verb %q: mpol guard knows test and schema", args[0])}
		},
		Run: func(*cobra.Command, []string) {},
	}
	c.AddCommand(newGuardTest(s), newGuardSchema(s))
	return c
}

func newGuardSchema(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of what a guardrail sees",
		Args:  none,
		RunE: func(*cobra.Command, []string) error {
			text, err := guard.Schema()
			if err != nil {
				return err
			}
			_, err = s.out.Write(text)
			return err
		},
	}
}

func newGuardTest(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "test [FOLDER...]",
		Short: "Run the Rego tests of guardrails",
		Long: `Test runs the Rego tests of the guardrails in folders, or of the built-in ones, and says which of
their lines no test reaches. Each guardrail is a folder NAME with NAME.rego and NAME_test.rego, which
has a test_allows_... and a test_denies_... or test_warns_... at least.`,
	}
	f := addFormat(c, human, asJSON, sarif, github)
	c.RunE = func(c *cobra.Command, folders []string) error {
		suites, err := suites(c.Context(), folders)
		if err != nil {
			return err
		}
		return reportSuites(s.out, *f, suites)
	}
	return c
}

// suites runs the tests of the guardrails in folders, or of the built-in ones.
func suites(ctx context.Context, folders []string) ([]guard.Suite, error) {
	if len(folders) == 0 {
		return guard.Test(ctx, "policies/guardrails", builtin.Guardrails())
	}
	var all []guard.Suite
	for _, folder := range folders {
		some, err := guard.Test(ctx, folder, os.DirFS(folder))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// reportSuites writes the diagnostics of suites and a line about each; its error is the exit code.
func reportSuites(w io.Writer, f format, suites []guard.Suite) error {
	var list diag.List
	files := make(texts)
	for _, s := range suites {
		list = append(list, s.Diagnostics...)
		files[s.Guardrail.File], files[s.TestFile] = []byte(s.Guardrail.Text), []byte(s.TestText)
	}
	if err := writeDiagnostics(w, f, list, files); err != nil {
		return err
	}
	if f == human {
		if err := writeSuites(w, suites); err != nil {
			return err
		}
	}
	code := exitOK
	for _, d := range list {
		switch {
		case d.Code == guard.CodeFailed:
			return outcome(exitPolicy)
		case d.Severity == diag.Error:
			code = exitFailed
		}
	}
	if code != exitOK {
		return outcome(code)
	}
	return nil
}

func writeSuites(w io.Writer, suites []guard.Suite) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range suites {
		if s.Passed+s.Failed+s.Skipped == 0 {
			fmt.Fprintf(t, "%s\tno test ran\n", s.Guardrail.Name)
			continue
		}
		text := fmt.Sprintf("%d passed", s.Passed)
		if s.Failed > 0 {
			text += fmt.Sprintf(", %d failed", s.Failed)
		}
		if s.Skipped > 0 {
			text += fmt.Sprintf(", %d skipped", s.Skipped)
		}
		fmt.Fprintf(t, "%s\t%s\t%d of %s reached\n", s.Guardrail.Name, text, s.Covered, count(s.Lines, "line", "lines"))
	}
	return t.Flush()
}
