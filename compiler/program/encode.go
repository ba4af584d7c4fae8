// SPDX-License-Identifier: Apache-2.0

package program

import (
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"reflect"
)

// Encoder writes values of this package as bytes for hashes: equal values of one type give equal
// bytes, others do not. A nil slice is an empty one. The bytes are not for reading back. The zero value
// is ready; one goroutine at a time uses it.
type Encoder struct {
	forms map[reflect.Type]form
	// sum, unless it is nil, takes the bytes in as soon as they are many: what is left is the rest.
	sum hash.Hash
}

// many is from how many bytes on they are taken into a hash.
const many = 1 << 15

// form appends a value of one type.
type form func(b []byte, v reflect.Value) []byte

// Append appends what v points to.
func (e *Encoder) Append(b []byte, v any) []byte {
	value := reflect.ValueOf(v).Elem()
	return e.form(value.Type())(b, value)
}

// form returns how values of a type are written. It goes by what a type has, so that no field can be
// forgotten.
func (e *Encoder) form(t reflect.Type) form {
	if f := e.forms[t]; f != nil {
		return f
	}
	if e.forms == nil {
		e.forms = map[reflect.Type]form{}
	}
	e.forms[t] = func(b []byte, v reflect.Value) []byte { return e.forms[t](b, v) } // in itself: not known yet
	e.forms[t] = e.newForm(t)
	return e.forms[t]
}

func (e *Encoder) newForm(t reflect.Type) form {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return func(b []byte, v reflect.Value) []byte { return appendAddr(b, *v.Addr().Interface().(*netip.Addr)) }
	case reflect.TypeFor[netip.Prefix]():
		return func(b []byte, v reflect.Value) []byte {
			p := *v.Addr().Interface().(*netip.Prefix)
			return append(appendAddr(b, p.Addr()), byte(p.Bits()))
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(b []byte, v reflect.Value) []byte {
			if v.Bool() {
				return append(b, 1)
			}
			return append(b, 0)
		}
	case reflect.Int:
		return func(b []byte, v reflect.Value) []byte { return binary.AppendVarint(b, v.Int()) }
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return func(b []byte, v reflect.Value) []byte { return binary.AppendUvarint(b, v.Uint()) }
	case reflect.String:
		return func(b []byte, v reflect.Value) []byte {
			s := v.String()
			return append(binary.AppendUvarint(b, uint64(len(s))), s...)
		}
	case reflect.Pointer:
		return e.pointer(t)
	case reflect.Slice:
		return e.slice(t)
	case reflect.Struct:
		return e.structure(t)
	}
	panic(fmt.Sprintf("program: encode %s: no value of this package", t))
}

func (e *Encoder) pointer(t reflect.Type) form {
	of := e.form(t.Elem())
	return func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, 0)
		}
		return of(append(b, 1), v.Elem())
	}
}

func (e *Encoder) slice(t reflect.Type) form {
	of := e.form(t.Elem())
	return func(b []byte, v reflect.Value) []byte {
		n := v.Len()
		b = binary.AppendUvarint(b, uint64(n))
		for i := range n {
			b = of(b, v.Index(i))
			if e.sum != nil && len(b) >= many {
				e.sum.Write(b)
				b = b[:0]
			}
		}
		return b
	}
}

func (e *Encoder) structure(t reflect.Type) form {
	fields := make([]form, t.NumField())
	for i := range fields {
		fields[i] = e.form(t.Field(i).Type)
	}
	return func(b []byte, v reflect.Value) []byte {
		for i, f := range fields {
			b = f(b, v.Field(i))
		}
		return b
	}
}

func appendAddr(b []byte, a netip.Addr) []byte {
	text := a.AsSlice()
	b = append(append(b, byte(len(text))), text...)
	zone := a.Zone()
	return append(binary.AppendUvarint(b, uint64(len(zone))), zone...)
}
