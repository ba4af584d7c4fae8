// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// inputVersion is the version of the input's shape. It grows when a field changes its meaning or
// goes; a new field changes nothing for a guardrail.
const inputVersion = 1

// input is what a guardrail sees.
type input struct {
	Version int           `json:"version"`
	Module  *check.Module `json:"module"`
}

// Schema returns the JSON schema of the input, as it stands in policies/guardrails/input.schema.json.
func Schema() ([]byte, error) {
	text, err := json.MarshalIndent(inputSchema(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema of the guardrails' input: %w", err)
	}
	return append(text, '\n'), nil
}

// schemas returns the schema as the Rego compiler wants it. With it a misspelt field is a compile
// error; without it, it would be undefined, and the guardrail would never deny.
func schemas() *ast.SchemaSet {
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, inputSchema())
	return set
}

// object is a JSON object of a schema.
type object = map[string]any

// inputSchema is taken from the Go types by the rules of encoder: each struct is a definition.
func inputSchema() object {
	r := reflector{defs: object{}}
	r.schema(reflect.TypeFor[input]())
	name := definition(reflect.TypeFor[input]())
	root := r.defs[name].(object)
	delete(r.defs, name)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "The input of a guardrail"
	root["properties"].(object)["version"] = object{"type": "integer", "const": inputVersion}
	root["definitions"] = r.defs
	return root
}

// reflector collects the definitions of struct types.
type reflector struct{ defs object }

// schema returns the schema of t; a struct is a reference to its definition, so that a type may
// contain itself.
func (r *reflector) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[diag.Span]():
		return object{"type": "string", "description": "a place: file:line:column-line:column"}
	case asText(t):
		return object{"type": "string"}
	case asJSON(t):
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return r.schema(t.Elem())
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": r.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": r.schema(t.Elem())}
	case reflect.Struct:
		return r.reference(t)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Interface:
		return object{}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

// definition names the definition of a struct type: check.Policy.
func definition(t reflect.Type) string { return path.Base(t.PkgPath()) + "." + t.Name() }

// reference returns a reference to the definition of a struct, which it makes where there is none.
func (r *reflector) reference(t reflect.Type) object {
	name := definition(t)
	if _, made := r.defs[name]; made {
		return object{"$ref": "#/definitions/" + name}
	}
	properties, required := object{}, []any{}
	r.defs[name] = object{"type": "object", "properties": properties, "additionalProperties": false}
	for _, f := range fields(t) {
		properties[f.name] = r.schema(f.typ)
		if !f.mayLack() {
			required = append(required, f.name)
		}
	}
	if len(required) > 0 {
		r.defs[name].(object)["required"] = required
	}
	return object{"$ref": "#/definitions/" + name}
}
