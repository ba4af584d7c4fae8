// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mpol/compiler/guard"
	"mpol/internal/policyset"
	"mpol/internal/source"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// policies are what a verb works on: module is nil when list has errors.
type policies struct {
	files  []source.File
	module *check.Module
	list   diag.List
}

// read reads the policies at paths up to the guardrails, those of folders beside the built-in ones.
// With today, what has expired by then is an error.
func read(ctx context.Context, s streams, paths, folders []string, today *day) (*policies, error) {
	rails, err := policyset.Guardrails(folders)
	if err != nil {
		return nil, err
	}
	files, err := source.Load(paths, s.in)
	if err != nil {
		return nil, err
	}
	collectSeldom()
	set := &policies{files: files}
	opt := policyset.Options{
		Check: check.Options{Today: today.at(s.now)},
		Guard: guard.Options{Guardrails: rails},
	}
	set.module, set.list, err = policyset.Read(ctx, files, opt)
	return set, err
}

// addGuardrails adds the flag --guardrails to a verb.
func addGuardrails(c *cobra.Command) *[]string {
	return c.Flags().StringArray("guardrails", nil, "folder of guardrails to run beside the built-in ones (repeatable)")
}

// day is the value of --today; zero stands for the day it is.
type day time.Time

// addToday adds the flag --today to a verb.
func addToday(c *cobra.Command) *day {
	var d day
	c.Flags().Var(&d, "today", "the day (UTC) that @expires is compared with (default: the day it is)")
	return &d
}

// at returns the day, or that of now; nil is no day at all.
func (d *day) at(now func() time.Time) time.Time {
	switch {
	case d == nil:
		return time.Time{}
	case time.Time(*d).IsZero():
		return now().UTC()
	}
	return time.Time(*d)
}

// Set implements pflag.Value.
func (d *day) Set(text string) error {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return fmt.Errorf("write a date like 2027-06-30")
	}
	*d = day(t)
	return nil
}

// String implements pflag.Value.
func (d *day) String() string {
	if time.Time(*d).IsZero() {
		return ""
	}
	return time.Time(*d).Format(time.DateOnly)
}

// Type implements pflag.Value.
func (*day) Type() string { return "date" }
