// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/compiler/program"
	"mpol/lang/check"
)

// inputVersion is the version of the input's shape. It grows when a field changes its meaning or
// goes; a new field changes nothing for a guardrail.
const inputVersion = 1

// whole is what a guardrail of all policies sees.
type whole struct {
	Version int           `json:"version"`
	Module  *check.Module `json:"module"`
}

// item is what a guardrail of single policies sees: a policy without its rules, or one of its rules
// with it.
type item struct {
	Version   int                `json:"version"`
	Policy    *check.Policy      `json:"policy"`
	Tier      program.Tier       `json:"tier"` // that of the policy
	Direction *program.Direction `json:"direction"`
	Rule      *check.Rule        `json:"rule"`
}

// form says which input a guardrail has: items one after the other, or else the module.
type form struct{ items bool }

// formOf returns the form of a guardrail by what it reads. None reads both: the schema of its form
// lacks the other.
func formOf(m *ast.Module) form {
	var f form
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if len(r) > 1 && r[0].Equal(ast.InputRootDocument) {
			for _, name := range []ast.String{"policy", "tier", "direction", "rule"} {
				f.items = f.items || r[1].Value.Compare(name) == 0
			}
		}
		return false
	})
	return f
}

// input returns the type of the input.
func (f form) input() reflect.Type {
	if f.items {
		return reflect.TypeFor[item]()
	}
	return reflect.TypeFor[whole]()
}

// fields returns the fields of a struct that the input shows.
func (f form) fields(t reflect.Type) []field {
	all := fields(t)
	if !f.items {
		return all
	}
	return slices.DeleteFunc(all, func(f field) bool { return f.typ == reflect.TypeFor[[]*check.Rule]() })
}
