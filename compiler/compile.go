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
	return new(Memory).compilation(m, inv).rules
}

// compilation is one run of Compile.
type compilation struct {
	*Memory
	module   *check.Module
	policies []*policy
	rules    program.Rules
	ids      map[string]program.RuleID // by key, nil until it is asked for
	diags    diag.List

	space  *space
	scopes []*scope // of c.tables.Tables, at the same indexes
	tables program.Tables
}

// lower fills in c.tables as far as there is no error.
func (c *compilation) lower() {
	c.space = newSpace(&c.rules)
	c.tables = program.Tables{
		Subjects: []program.Bound{}, Profiles: []program.Profile{}, ProfileRows: []program.ProfileRow{},
	}
	c.tables.Ungoverned = program.Verdict{
		Allow: c.rules.Default == program.Allow, Rank: rankDefault, Rule: keyDefault,
	}
	c.tables.Identities = c.space.identityKeys()
	c.tables.Addresses = c.space.addresses
	c.tables.Sockets = c.space.sockets
	c.lowerSubjects()
	c.lint()
	if c.diags.HasErrors() {
		return
	}
	c.lowerProfiles()
}
