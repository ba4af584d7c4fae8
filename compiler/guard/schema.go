// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/lang/check"
)

// inputVersion is the version of the input's shape. It grows when a field changes its meaning or
// goes; a new field changes nothing for a guardrail.
const inputVersion = 1

// input is what a guardrail sees.
type input struct {
	Version int           `json:"version"`
	Module  *check.Module `json:"module"`
}

// schemas returns the JSON schema of the input, taken from the Go types. With it a misspelt field
// is a compile error; without it, it would be undefined, and the guardrail would never deny.
func schemas() *ast.SchemaSet {
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema(reflect.TypeFor[input](), nil))
	return set
}

// schema returns the JSON schema of t. Below a type that contains itself (outer holds the types on
// the way) everything is accepted, since a schema set has no recursion.
func schema(t reflect.Type, outer []reflect.Type) map[string]any {
	switch {
	case slices.Contains(outer, t):
		return map[string]any{}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && t.Kind() != reflect.Pointer:
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem(), outer)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schema(t.Elem(), outer)}
	case reflect.Struct:
		return structSchema(t, append(slices.Clone(outer), t))
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	default:
		return map[string]any{"type": "number"}
	}
}

func structSchema(t reflect.Type, outer []reflect.Type) map[string]any {
	properties := map[string]any{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = schema(f.Type, outer)
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}
