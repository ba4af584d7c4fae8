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
	resolution
}

// Compile is the function Compile with what is remembered of earlier runs.
func (m *Memory) Compile(module *check.Module, inv program.Inventory) (*program.Program, diag.List) {
	c := m.compilation(module, inv)
	c.checkInventory()
	certain := !c.diags.HasErrors()
	c.checkTiers()
	for _, p := range c.policies {
		c.diags = append(c.diags, p.diags...)
	}
	if certain {
		c.lower()
	}
	c.diags.Sort(module.Files)
	if c.diags.HasErrors() {
		return nil, c.diags
	}
	return &program.Program{Rules: c.rules, Tables: c.tables}, c.diags
}

// compilation begins a run: the rules are resolved and numbered.
func (m *Memory) compilation(module *check.Module, inv program.Inventory) *compilation {
	c := &compilation{Memory: m, module: module, policies: m.resolve(module)}
	c.rules = m.number(module, c.policies)
	c.rules.Inventory = inv
	return c
}
