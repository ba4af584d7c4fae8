// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Compile makes the program of a module for an inventory. The program is nil when a diagnostic is
// an error; otherwise there may be warnings.
func Compile(m *check.Module, inv program.Inventory) (*program.Program, diag.List) {
	return new(Memory).Compile(m, inv)
}

// Resolve makes the rules of a module for an inventory, numbered but not lowered.
func Resolve(m *check.Module, inv program.Inventory) program.Rules {
	return new(Memory).begin(m, inv).rules
}

// compilation is one run of Compile.
type compilation struct {
	*Memory
	module *check.Module
	rules  program.Rules
	ids    map[string]program.RuleID // by key, nil until it is asked for
	diags  diag.List
	limits program.Limits
	tables program.Tables
}

// lower fills in c.tables as far as there is no error.
func (c *compilation) lower() {
	c.space.update(c.cutting.cuts(c.rules.Inventory.Resolvers), &c.rules.Inventory, c.governing.host > 0, c.limits.Sockets, c.run)
	if !c.limitSpace() {
		return
	}
	c.tables = program.Tables{
		Identities: c.space.keys, Addresses: c.space.addresses, Sockets: c.space.sockets,
		Profiles: []program.Profile{}, ProfileRows: []program.ProfileRow{},
	}
	c.tables.Ungoverned = program.Verdict{
		Allow: c.rules.Default == program.Allow, Rank: rankDefault, Rule: keyDefault,
	}
	if !c.lowerSubjects() {
		return
	}
	c.lint()
	if c.diags.HasErrors() {
		return
	}
	c.lowerProfiles()
}
