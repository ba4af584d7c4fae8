// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mpol/compiler/guard"
	"mpol/compiler/program"
	"mpol/internal/inventory"
	"mpol/internal/policyset"
	"mpol/internal/source"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// policies are what a verb works on: module is nil when list has errors.
type policies struct {
	files  []source.File
	texts  // of the files and of the guardrails
	module *check.Module
	list   diag.List
	// reread says of other texts of the files what was asked of these; nil where nobody reads again.
	reread func(files []source.File) (*check.Module, diag.List, error)
}

// load reads the files at paths and looks at none of them.
func load(s streams, paths []string) (*policies, error) {
	files, err := source.Load(paths, s.in)
	if err != nil {
		return nil, err
	}
	collectSeldom()
	return &policies{files: files, texts: textsOf(files)}, nil
}

// reading says what is asked of policies beside the language itself; nil stands for a question that a
// verb does not put.
type reading struct {
	guardrails *[]string // folders beside the built-in ones
	today      *day      // what has expired by then is an error
	inventory  *string   // a file: a selector that nobody in it meets is a warning

	again policyset.Set // what a verb that reads more than once has read
}

// read reads the policies at paths up to the guardrails.
func (q *reading) read(ctx context.Context, s streams, paths []string) (*policies, error) {
	opt := policyset.Options{Check: check.Options{Today: q.today.at(s.now)}}
	if q.inventory != nil && *q.inventory != "" {
		inv, err := inventory.Read(*q.inventory)
		if err != nil {
			return nil, err
		}
		opt.Check.Inventory = append([]program.Workload{}, inv.Written.Workloads...)
	}
	rails, err := policyset.Guardrails(*q.guardrails)
	if err != nil {
		return nil, err
	}
	set, err := load(s, paths)
	if err != nil {
		return nil, err
	}
	for _, r := range rails {
		set.texts[r.File] = []byte(r.Text)
	}
	opt.Guard = guard.Options{Guardrails: rails}
	set.reread = func(files []source.File) (*check.Module, diag.List, error) { return q.again.Read(ctx, files, opt) }
	set.module, set.list, err = set.reread(set.files)
	return set, err
}

// addInventory adds the flag --inventory to a verb; what says what for.
func addInventory(c *cobra.Command, what string) *string {
	return c.Flags().String("inventory", "", "YAML or JSON file of who takes part, or the agent's configuration: "+what)
}

// whoMeets is what mpol check and mpol test ask of an inventory.
const whoMeets = "warn of selectors that nobody in it meets"

// errNoInventory: a verb that judges flows or compiles needs to know who takes part.
var errNoInventory = usageError{errors.New("name the inventory: --inventory FILE")}

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
