// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
	"encoding"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
)

// value is a scalar in the order of Rego: by its sort, then as a number or a text.
type value struct {
	sort   sort
	number int64
	text   string
}

type sort uint8

const (
	boolean sort = iota
	number
	text
)

func (v *value) compare(w *value) int {
	return cmp.Or(cmp.Compare(v.sort, w.sort), cmp.Compare(v.number, w.number), cmp.Compare(v.text, w.text))
}

func truth(b bool) value {
	if b {
		return value{sort: boolean, number: 1}
	}
	return value{sort: boolean}
}

// constant returns a scalar of Rego. It is not ok for other values, null and broken numbers.
func constant(t *ast.Term) (_ value, ok bool) {
	switch v := t.Value.(type) {
	case ast.Boolean:
		return truth(bool(v)), true
	case ast.Number:
		n, ok := v.Int64()
		return value{sort: number, number: n}, ok
	case ast.String:
		return value{sort: text, text: string(v)}, true
	}
	return value{}, false
}

// valueOf returns a scalar of Go as the input shows it; asText says that its type shows itself as
// text. It is not ok for other values.
func valueOf(v reflect.Value, asText bool) (_ value, ok bool) {
	if asText {
		b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return value{sort: text, text: string(b)}, err == nil
	}
	switch {
	case v.Kind() == reflect.String:
		return value{sort: text, text: v.String()}, true
	case v.Kind() == reflect.Bool:
		return truth(v.Bool()), true
	case v.CanInt():
		return value{sort: number, number: v.Int()}, true
	case v.CanUint():
		return value{sort: number, number: int64(v.Uint())}, true
	}
	return value{}, false
}
