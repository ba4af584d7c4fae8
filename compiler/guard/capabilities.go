// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// builtins lists the built-in functions that a guardrail may call. All of them are functions of
// their arguments: nothing here reads a clock, the network, the environment, a file or randomness.
func builtins() []string {
	return []string{
		// operators and what the compiler makes of "in" and string templates
		"eq", "assign", "equal", "neq", "gt", "gte", "lt", "lte",
		"plus", "minus", "mul", "div", "rem", "and", "or",
		"internal.member_2", "internal.member_3", "internal.template_string",
		// numbers and aggregates
		"abs", "ceil", "floor", "round", "count", "max", "min", "product", "sum", "sort",
		// collections
		"array.concat", "array.reverse", "array.slice", "intersection", "union", "walk",
		"object.filter", "object.get", "object.keys", "object.remove", "object.subset", "object.union",
		"object.union_n",
		// texts
		"concat", "contains", "endswith", "format_int", "indexof", "lower", "regex.is_valid",
		"regex.match", "replace", "split", "sprintf", "startswith", "strings.any_prefix_match",
		"strings.any_suffix_match", "strings.count", "substring", "to_number", "trim", "trim_left",
		"trim_prefix", "trim_right", "trim_space", "trim_suffix", "upper",
		// addresses
		"net.cidr_contains", "net.cidr_intersects",
		// types
		"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string",
		"type_name",
	}
}

// capabilities returns what this version of OPA can do, less every built-in function that is not
// listed and less the network, from which the type checker would otherwise fetch schemas.
func capabilities() *ast.Capabilities {
	allowed := builtins()
	c := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return !slices.Contains(allowed, b.Name)
	})
	c.AllowNet = []string{} // nil would mean every host
	return c
}
