// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/lang/check"
	"mpol/lang/diag"
)

// Schema returns the JSON schema of the input, as it stands in policies/guardrails/input.schema.json.
func Schema() ([]byte, error) {
	text, err := json.MarshalIndent(inputSchema(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema of the guardrails' input: %w", err)
	}
	return append(text, '\n'), nil
}

// schemas returns the schema of a form as the Rego compiler wants it. With it a misspelt field is a
// compile error; without it, it would be undefined, and the guardrail would never deny.
func (f form) schemas() *ast.SchemaSet {
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, f.schema(levels))
	return set
}

// levels is how deep a type may contain itself in the schema that the compiler reads, and anything
// goes below. It compares two types that have no end until the stack has one.
const levels = 3

// object is a JSON object of a schema.
type object = map[string]any

// inputSchema is the schema of both forms: what one of them lacks is not required.
func inputSchema() object {
	items, module := form{items: true}.schema(0), form{}.schema(0)
	properties := module["properties"].(object)
	maps.Copy(properties, items["properties"].(object))
	block := definition(reflect.TypeFor[check.Block]())
	definitions := module["definitions"].(object)
	definitions[block].(object)["required"] = items["definitions"].(object)[block].(object)["required"]
	module["required"] = []any{"version"}
	module["oneOf"] = []any{object{"required": []any{"module"}}, object{"required": []any{"policy", "tier"}}}
	module["title"] = "The input of a guardrail"
	module["description"] = "All policies as module, for a guardrail that reads it; else each policy without its rules, and each of its rules with it"
	return module
}

// schema is taken from the Go types by the rules of encoder: each struct is a definition. A type may
// contain itself at so many levels, without end where that is 0.
func (f form) schema(levels int) object {
	r := reflector{form: f, levels: levels, within: map[reflect.Type]int{}, defs: object{}}
	r.schema(f.input())
	name := definition(f.input())
	root := r.defs[name].(object)
	delete(r.defs, name)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["properties"].(object)["version"] = object{"type": "integer", "const": inputVersion}
	root["definitions"] = r.defs
	return root
}

// reflector collects the definitions of struct types.
type reflector struct {
	form   form
	levels int
	within map[reflect.Type]int // how often a type contains what is being reflected
	defs   object
}

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
	if level := r.within[t]; r.levels > 0 && level > 0 {
		if level == r.levels {
			return object{}
		}
		name = fmt.Sprint(name, level)
	}
	if _, made := r.defs[name]; made {
		return object{"$ref": "#/definitions/" + name}
	}
	r.within[t]++
	properties, required := object{}, []any{}
	r.defs[name] = object{"type": "object", "properties": properties, "additionalProperties": false}
	for _, f := range r.form.fields(t) {
		properties[f.name] = r.schema(f.typ)
		if !f.mayLack() {
			required = append(required, f.name)
		}
	}
	if len(required) > 0 {
		r.defs[name].(object)["required"] = required
	}
	r.within[t]--
	return object{"$ref": "#/definitions/" + name}
}
