// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"mpol/lang/diag"
)

// encoder turns Go values into values of Rego as their JSON tags say, but without null: a nil slice
// is an empty array, so that a guardrail may count what is not there, and a field with a nil pointer
// is left out. A span is one text, so that places cost little.
type encoder struct {
	form   form
	shapes map[reflect.Type]*shape
}

func newEncoder(f form) *encoder { return &encoder{form: f, shapes: map[reflect.Type]*shape{}} }

// shape is what is known of a type.
type shape struct {
	span, text, json bool // how it shows itself
	fields           []field
}

func (e *encoder) shape(t reflect.Type) *shape {
	s := e.shapes[t]
	if s == nil {
		s = shapeOf(t)
		if t.Kind() == reflect.Struct && !s.text && !s.json {
			s.fields = e.form.fields(t)
		}
		e.shapes[t] = s
	}
	return s
}

// shapeOf returns the shape of a type without its fields.
func shapeOf(t reflect.Type) *shape {
	return &shape{span: t == reflect.TypeFor[diag.Span](), text: asText(t), json: asJSON(t)}
}

// field is one field of a struct as JSON shows it.
type field struct {
	name      string
	key       *ast.Term
	typ       reflect.Type
	index     []int
	omitEmpty bool
	omitZero  bool
}

// fields returns the fields of a struct that JSON shows, those of embedded structs among them.
func fields(t reflect.Type) []field {
	var list []field
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			for _, inner := range fields(f.Type) {
				inner.index = append(slices.Clone(f.Index), inner.index...)
				list = append(list, inner)
			}
			continue
		case name == "":
			name = f.Name
		}
		has := strings.Split(options, ",")
		list = append(list, field{
			name:      name,
			key:       ast.StringTerm(name),
			typ:       f.Type,
			index:     f.Index,
			omitEmpty: slices.Contains(has, "omitempty"),
			omitZero:  slices.Contains(has, "omitzero"),
		})
	}
	return list
}

// mayLack reports whether there are values with which the field is left out.
func (f field) mayLack() bool {
	return f.omitEmpty || f.omitZero || f.typ.Kind() == reflect.Pointer || f.typ.Kind() == reflect.Interface
}

// omits reports whether the field is left out where it has the value v.
func (f field) omits(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	}
	return f.omitZero && v.IsZero() || f.omitEmpty && empty(v)
}

// empty is what encoding/json means by it.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// asText and asJSON report how a type shows itself.
func asText(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

func asJSON(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[json.Marshaler]())
}

// encode returns as a term what n says of v. What it does not say is left out of objects; a list
// keeps its length.
func (e *encoder) encode(v reflect.Value, n *reads) (*ast.Term, error) {
	s := e.shape(v.Type())
	switch {
	case s.span:
		return ast.StringTerm(place(v.Interface().(diag.Span))), nil
	case s.json:
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return nil, err
		}
		return ast.ParseTerm(string(text))
	}
	if value, ok := scalar(v, s.text); ok {
		return value, nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, fmt.Errorf("a nil %s stands where a value must", v.Type())
		}
		return e.encode(v.Elem(), n)
	case reflect.Slice, reflect.Array:
		return e.array(v, n.element())
	case reflect.Map:
		return e.mapping(v)
	case reflect.Struct:
		return e.object(v, s, n)
	}
	return nil, fmt.Errorf("a value of the type %s cannot be shown", v.Type())
}

// scalar returns a value without parts as a term; text says that its type shows itself as one.
func scalar(v reflect.Value, text bool) (*ast.Term, bool) {
	if text {
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return ast.StringTerm(string(text)), err == nil
	}
	switch {
	case v.Kind() == reflect.String:
		return ast.StringTerm(v.String()), true
	case v.Kind() == reflect.Bool:
		return ast.InternedTerm(v.Bool()), true
	case v.CanInt():
		return ast.InternedTerm(v.Int()), true
	case v.CanUint():
		return ast.InternedTerm(v.Uint()), true
	case v.CanFloat():
		return ast.FloatNumberTerm(v.Float()), true
	}
	return nil, false
}

func (e *encoder) array(v reflect.Value, n *reads) (*ast.Term, error) {
	terms := make([]*ast.Term, v.Len())
	for i := range terms {
		var err error
		if terms[i], err = e.encode(v.Index(i), n); err != nil {
			return nil, err
		}
	}
	return ast.ArrayTerm(terms...), nil
}

func (e *encoder) mapping(v reflect.Value) (*ast.Term, error) {
	var pairs [][2]*ast.Term
	for key, value := range v.Seq2() {
		k, err := e.encode(key, &reads{all: true})
		if err != nil {
			return nil, err
		}
		term, err := e.encode(value, &reads{all: true})
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, ast.Item(k, term))
	}
	return ast.ObjectTerm(pairs...), nil
}

func (e *encoder) object(v reflect.Value, s *shape, n *reads) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(s.fields))
	for _, f := range s.fields {
		part := n.field(f.name)
		if part == nil {
			continue
		}
		value := v.FieldByIndex(f.index)
		if f.omits(value) {
			continue
		}
		term, err := e.encode(value, part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		pairs = append(pairs, ast.Item(f.key, term))
	}
	return ast.ObjectTerm(pairs...), nil
}
