// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"reflect"
	"strconv"

	"mpol/lang/diag"
)

// place writes s as a guardrail sees it: file:line:column-line:column.
func place(s diag.Span) string {
	b := make([]byte, 0, len(s.File)+24)
	b = append(b, s.File...)
	for i, n := range []int{s.Start.Line, s.Start.Column, s.End.Line, s.End.Column} {
		b = append(b, "::-:"[i])
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}

// places notes in spans which text stands for which place of v, as e shows it.
func (e *encoder) places(v reflect.Value, spans map[string]diag.Span) {
	s := e.shape(v.Type())
	switch {
	case s.span:
		at := v.Interface().(diag.Span)
		spans[place(at)] = at
		return
	case s.text || s.json:
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			e.places(v.Elem(), spans)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			e.places(v.Index(i), spans)
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			e.places(key, spans)
			e.places(value, spans)
		}
	case reflect.Struct:
		for _, f := range s.fields {
			if value := v.FieldByIndex(f.index); !f.omits(value) {
				e.places(value, spans)
			}
		}
	}
}
