// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Memory makes a second Compile cheap when little has changed: only what hangs on the change is done
// again. A policy has not changed when it is the very same *check.Policy, as a check.Memory gives
// them.
//
// The zero value remembers nothing and is ready; one goroutine at a time uses it. Programs share what
// they have in common with earlier ones, so that nobody may change a Program, or a Module or an
// Inventory that was given to Compile.
type Memory struct {
	// Limits bound the programs. They stay the same from the first run on.
	Limits program.Limits

	run int // how many there were, with this one
	resolution
	cutting
	*governing
	space    *space
	scopes   []*scope                     // of the tables of the last run, at the same indexes
	profiles map[between]*program.Profile // of the last run
	// ungoverned is the run in which it changed last whom no table judges.
	ungoverned int
}

// Compile is the function Compile with what is remembered of earlier runs.
func (m *Memory) Compile(module *check.Module, inv program.Inventory) (*program.Program, diag.List) {
	c := m.begin(module, inv)
	c.limits = m.Limits.OfNode()
	c.checkInventory()
	certain := !c.diags.HasErrors()
	c.checkTiers()
	c.diags = append(c.diags, m.mistakes()...)
	if certain {
		c.lower()
	}
	c.diags.Sort(module.Files)
	if c.diags.HasErrors() {
		return nil, c.diags
	}
	return &program.Program{Rules: c.rules, Tables: c.tables}, c.diags
}

// begin begins a run: what is known of policies is made right.
func (m *Memory) begin(module *check.Module, inv program.Inventory) *compilation {
	if m.run == 0 {
		m.governing, m.space = newGoverning(), newSpace()
	}
	m.run++
	came, went := m.resolve(module)
	c := &compilation{Memory: m, module: module, rules: m.numbers.number(module, m.all)}
	c.rules.Inventory = inv
	m.cutting.update(came, went)
	m.governing.update(&c.rules, came, went, m.space.subjects())
	return c
}
