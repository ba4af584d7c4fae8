// SPDX-License-Identifier: Apache-2.0

package guard

import "reflect"

// step leads from a value to a part of it: to a field, or to each element.
type step struct {
	field field
	each  bool
	typ   reflect.Type // of the part
}

// steps returns the way along a trail through the Go types of the input. It ends early where they say
// no more, and is then not exact.
func (f form) steps(p trail) (way []step, exact bool) {
	t := f.input()
	for _, name := range p {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch s := shapeOf(t); {
		case s.span || s.text || s.json:
			return way, false
		case t.Kind() == reflect.Slice && name == "":
			t = t.Elem()
			way = append(way, step{each: true, typ: t})
		case t.Kind() == reflect.Struct && name != "":
			found := false
			for _, field := range f.fields(t) {
				if field.name == name {
					t, found = field.typ, true
					way = append(way, step{field: field, typ: t})
				}
			}
			if !found {
				return way, false
			}
		default:
			return way, false
		}
	}
	return way, true
}

// reaches reports whether the way leads from v to something that passes the test.
func reaches(v reflect.Value, way []step, passes test) bool {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	if len(way) == 0 {
		return passes(v)
	}
	if f := way[0].field; !way[0].each {
		part := v.FieldByIndex(f.index)
		return !f.omits(part) && reaches(part, way[1:], passes)
	}
	for i := range v.Len() {
		if reaches(v.Index(i), way[1:], passes) {
			return true
		}
	}
	return false
}

// test reports whether a value may be what a guardrail asks for.
type test func(reflect.Value) bool

func exists(reflect.Value) bool { return true }

// truthy is what an expression asks for that is a reference alone.
func truthy(v reflect.Value) bool { return v.Kind() != reflect.Bool || v.Bool() }
