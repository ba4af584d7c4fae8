// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
)

// target is how long compiling again may take after a small change, in ms.
const target = 20

// change is a small one: what is compiled after it.
type change struct {
	what      string
	module    *check.Module
	inventory program.Inventory
}

// changes are those of a rule's port, of a rule that is added, of a workload that comes with labels
// that others have, and of one with labels of its own.
func (a *author) changes(ctx context.Context) ([]change, error) {
	files, at := slices.Clone(a.files), len(a.files)/2
	var all []change
	for _, edit := range []struct{ what, old, new string }{
		{"a port", fmt.Sprintf("on tcp/%d\n", firstPort), fmt.Sprintf("on tcp/%d\n", firstPort-1)},
		{"a rule", "  egress {\n", "  egress {\n    more: allow to host on tcp/1\n"},
	} {
		files[at].Text = bytes.Replace(a.files[at].Text, []byte(edit.old), []byte(edit.new), 1)
		m, err := readModule(ctx, &a.set, files)
		if err != nil {
			return nil, err
		}
		all = append(all, change{edit.what, m, a.inventory})
	}
	for _, who := range []struct{ what, app string }{{"a workload", a.app(0)}, {"new labels", "new"}} {
		inv := a.inventory
		inv.Workloads = append(slices.Clip(inv.Workloads), program.Workload{
			Name: "x", Interface: "vx", Addresses: []netip.Addr{a.address(len(inv.Workloads))},
			Labels: []program.Label{{Key: "app", Value: who.app}, {Key: "env", Value: "prod"}},
		})
		all = append(all, change{who.what, a.module, inv})
	}
	return all, nil
}

// compileAgain compares compiling after a small change with the time that it may take.
func (a *author) compileAgain(ctx context.Context) (*comparison, error) {
	changes, err := a.changes(ctx)
	if err != nil {
		return nil, err
	}
	var memory compiler.Memory
	compile := func(m *check.Module, inv program.Inventory) (float64, error) {
		start := time.Now()
		p, diags := memory.Compile(m, inv)
		if p == nil {
			return 0, fmt.Errorf("compile again: %v", diags)
		}
		return ms(time.Since(start)), nil
	}
	c := &comparison{
		beside: side{name: "target", measure: func() ([]float64, error) { return slices.Repeat([]float64{target}, len(changes)), nil }},
		ours: side{name: "mpol", measure: func() (all []float64, err error) {
			for _, change := range changes {
				if _, err := compile(a.module, a.inventory); err != nil {
					return nil, err
				}
				took, err := compile(change.module, change.inventory)
				if err != nil {
					return nil, err
				}
				all = append(all, took)
			}
			return all, nil
		}},
	}
	for _, change := range changes {
		c.metrics = append(c.metrics, metric{"compile again: " + change.what, "ms"})
	}
	return c, nil
}
