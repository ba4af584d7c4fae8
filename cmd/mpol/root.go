// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// streams are what a verb reads and writes, and the day it is.
type streams struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(streams{in: stdin, out: stdout, err: stderr, now: time.Now})
	verb, args, err := twoDashes(root, args)
	if err == nil {
		root.SetArgs(args)
		verb, err = root.ExecuteContextC(ctx)
	}
	var said outcome
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &said):
		return int(said)
	}
	fmt.Fprintf(stderr, "mpol: %v\n", err)
	if errors.Is(err, errUsage) {
		fmt.Fprintf(stderr, "Run '%s --help' for its use.\n", verb.CommandPath())
	}
	return exitUsage
}

// errUsage marks errors of the command line, which help can mend.
var errUsage = errors.New("usage")

// usageError is an error of the command line.
type usageError struct{ error }

// Is reports that e is an errUsage.
func (usageError) Is(target error) bool { return target == errUsage }

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:                        "mpol",
		Short:                      "Network policies that read aloud, checked by the author and enforced in the kernel",
		Args:                       noVerb,
		Run:                        func(*cobra.Command, []string) {},
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newFmt(s), newCheck(s), newTest(s), newVerdict(s), newWhy(s), newCompile(s), newGuard(s), newExplain(s),
		newAgent(s), newStatus(s), newVersion(s),
	)
	return root
}

// noVerb is reached when the command line names no verb that exists.
func noVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("no verb given")}
	}
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError{fmt.Errorf("unknown verb %q: did you mean %s?", args[0], strings.Join(near, " or "))}
	}
	return usageError{fmt.Errorf("unknown verb %q", args[0])}
}

// paths demands at least one path.
func paths(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("name at least one policy file or folder, or - for the standard input")}
	}
	return nil
}

// none demands that there are no arguments.
func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected %q", args[0])}
	}
	return nil
}
