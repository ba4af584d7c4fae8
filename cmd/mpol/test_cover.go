// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mpol/compiler/policytest"
	"mpol/lang/check"
)

// cover says whether coverage is measured, what it has to be, and where a page of it goes.
type cover struct {
	on   bool
	min  float64
	page string
}

func addCover(c *cobra.Command) *cover {
	v := &cover{}
	c.Flags().BoolVar(&v.on, "cover", false, "say which rules, requests and comparisons no test covers, with a test for each rule")
	c.Flags().Float64Var(&v.min, "cover-min", 0, "fail when fewer than this percentage of rules are covered")
	c.Flags().StringVar(&v.page, "cover-html", "", "write a page with the sources coloured to this file")
	return v
}

func (v *cover) wanted() bool { return v.on || v.min > 0 || v.page != "" }

// prepare checks the flags.
func (v *cover) prepare() error {
	if !(v.min >= 0 && v.min <= 100) { // which NaN is not either
		return usageError{fmt.Errorf("--cover-min: write a percentage from 0 to 100")}
	}
	return nil
}

// report measures how far tests cover the module and reports it; it returns whether that is enough.
func (v *cover) report(w io.Writer, m *check.Module, tests []*check.Test, r *policytest.Report) (bool, error) {
	some := *m
	some.Tests = tests
	c := policytest.Cover(&some, policytest.Run(&some, policytest.Options{}))
	if err := c.WriteText(w); err != nil {
		return false, err
	}
	if v.page != "" {
		if err := v.writePage(c, m, r); err != nil {
			return false, err
		}
	}
	if c.Percent() < v.min {
		_, err := fmt.Fprintf(w, "coverage is below %g %%\n", v.min)
		return false, err
	}
	return true, nil
}

func (v *cover) writePage(c *policytest.Coverage, m *check.Module, r *policytest.Report) error {
	file, err := os.Create(v.page)
	if err != nil {
		return fmt.Errorf("write coverage: %w", err)
	}
	if err := c.WriteHTML(file, m.Files, r.Text); err != nil {
		_ = file.Close() // the first error is the one to tell
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write coverage: %w", err)
	}
	return nil
}
