// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"reflect"

	"github.com/alecthomas/participle/v2/lexer"
)

// lookahead is how many tokens an alternative may take and still be given up for the next.
const lookahead = 1

// walker reads productions from tokens, of which it takes none from end on. It says no more of a mistake
// than that there is one.
type walker struct {
	toks     []lexer.Token
	end      int
	captures []captured // by productions that have not ended
}

// captured is what a field is to be set to: the tokens [lo, hi) or, of a struct, value, which points at it.
type captured struct {
	field  []int
	lo, hi int
	value  reflect.Value
}

// read returns a pointer to the struct that the tokens [lo, hi) are, if they are one.
func (w *walker) read(p *production, lo, hi int) (v any, ok bool) {
	w.end, w.captures = hi, w.captures[:0]
	value, at, ok := w.production(p, lo)
	if !ok || at != hi {
		return nil, false
	}
	return value.Interface(), true
}

// production reads a struct at token i and returns where it ends, or else as match does.
func (w *walker) production(p *production, i int) (v reflect.Value, at int, ok bool) {
	mark := len(w.captures)
	if at, ok = w.match(p.expr, i); !ok {
		return v, at, false
	}
	v = reflect.New(p.typ)
	for _, c := range w.captures[mark:] {
		set(v.Elem().FieldByIndex(c.field), w.toks[c.lo:c.hi:c.hi], c.value)
	}
	if p.tokens != nil {
		set(v.Elem().FieldByIndex(p.tokens), w.toks[i:at:at], reflect.Value{})
	}
	w.captures = w.captures[:mark]
	return v, at, true
}

// set gives a field what was captured for it.
func set(field reflect.Value, toks []lexer.Token, value reflect.Value) {
	switch f := field.Addr().Interface().(type) {
	case *lexer.Token:
		*f = toks[0]
	case **lexer.Token:
		*f = &toks[0]
	case *[]lexer.Token:
		*f = toks
	case *bool:
		*f = true
	default:
		switch field.Kind() {
		case reflect.Pointer:
			field.Set(value)
		case reflect.Slice:
			n := field.Len()
			field.Grow(1)
			field.SetLen(n + 1)
			field.Index(n).Set(value)
		default:
			field.Set(value.Elem())
		}
	}
}

// match reads e at token i and returns where it ends. Where it does not match, at is how far it came: an
// alternative that came further than lookahead is what was meant, and no other is tried.
func (w *walker) match(e *expr, i int) (at int, ok bool) {
	switch e.op {
	case literal:
		if i < w.end && w.toks[i].Value == e.text {
			return i + 1, true
		}
	case terminal:
		if i < w.end && w.toks[i].Type == e.typ {
			return i + 1, true
		}
	case sequence:
		for _, a := range e.args {
			if i, ok = w.match(a, i); !ok {
				return i, false
			}
		}
		return i, true
	case choice:
		for _, a := range e.args {
			if at, ok, over := w.try(a, i); over {
				return at, ok
			}
		}
	case optional, repeated:
		for {
			at, ok, over := w.try(e.args[0], i)
			switch {
			case !over || at == i:
				return i, true
			case !ok || e.op == optional:
				return at, ok
			}
			i = at
		}
	case absent:
		mark := len(w.captures)
		_, found := w.match(e.args[0], i)
		w.captures = w.captures[:mark]
		return i, !found
	case capture:
		if at, ok = w.match(e.args[0], i); ok {
			w.captures = append(w.captures, captured{field: e.field, lo: i, hi: at})
		}
		return at, ok
	case nested:
		v, at, ok := w.production(e.of, i)
		if ok {
			w.captures = append(w.captures, captured{field: e.field, lo: i, hi: at, value: v})
		}
		return at, ok
	}
	return i, false
}

// try is match of an alternative. It is over when e matches or came too far to be given up; else nothing
// of it is left.
func (w *walker) try(e *expr, i int) (at int, ok, over bool) {
	mark := len(w.captures)
	at, ok = w.match(e, i)
	over = ok || at > i+lookahead
	if !over {
		w.captures = w.captures[:mark]
	}
	return at, ok, over
}
