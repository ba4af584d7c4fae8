// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"mpol/compiler/policytest"
	"mpol/lang/check"
)

// What is tried for a run: lines that failed, and edits of each.
const (
	maxEditedLines = 10
	maxEdits       = 12
)

// suggest looks for an edit for each of the first lines that failed: one with which the policies are
// still right, that line passes, and every line that passed still does.
func (set *policies) suggest(r *policytest.Report) {
	lines := 0
	for b := range r.Blocks {
		block := &r.Blocks[b]
		for i := range block.Lines {
			if block.Test.Todo || block.Lines[i].Status != policytest.Fail || lines == maxEditedLines {
				continue
			}
			lines++
			edits := r.Edits(set.module, block.Test, &block.Test.Lines[i], block.Lines[i].Result)
			for _, e := range edits[:min(len(edits), maxEdits)] {
				if set.mends(r, e, b, i) {
					block.Lines[i].Edit = &e
					break
				}
			}
		}
	}
}

// mends reports whether an edit makes line i of block b pass and spoils nothing.
func (set *policies) mends(r *policytest.Report, e policytest.Edit, b, i int) bool {
	m := set.edited(e)
	if m == nil {
		return false
	}
	suite := policytest.New(m)
	for n, block := range r.Blocks {
		at := slices.IndexFunc(m.Tests, func(t *check.Test) bool {
			return t.Name == block.Test.Name && t.Package == block.Test.Package
		})
		if at < 0 {
			return false
		}
		results := suite.Run(m.Tests[at])
		if len(results) != len(block.Lines) {
			return false
		}
		for k, res := range results {
			must := block.Lines[k].Status == policytest.Pass || n == b && k == i
			if must && res.Status != policytest.Pass {
				return false
			}
		}
	}
	return true
}

// edited returns the module with an edit made, nil if it has errors or warnings that were not there, those
// of guardrails included.
func (set *policies) edited(e policytest.Edit) *check.Module {
	files := slices.Clone(set.files)
	for i, f := range files {
		if f.Name == e.Span.File && e.Span.End.Offset <= len(f.Text) {
			files[i].Text = slices.Concat(f.Text[:e.Span.Start.Offset], []byte(e.Text), f.Text[e.Span.End.Offset:])
		}
	}
	m, list, err := set.reread(files)
	if err != nil || len(list) > len(set.list) {
		return nil
	}
	return m
}
