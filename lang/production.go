// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"
)

// production is a struct of the tree with what its tags say of the text that it stands for.
type production struct {
	typ    reflect.Type
	expr   *expr
	tokens []int // index of the field Tokens, nil when there is none
}

// operator says what an expr is.
type operator uint8

const (
	literal  operator = iota // the token text
	terminal                 // any token of one type
	sequence                 // all args in order
	choice                   // the first of args that matches
	optional                 // the one arg or nothing
	repeated                 // the one arg as often as it matches
	absent                   // nothing, where the one arg does not match
	capture                  // the one arg, kept in a field
	nested                   // a struct, kept in a field
)

// expr is a piece of a production.
type expr struct {
	op    operator
	text  string
	typ   lexer.TokenType
	args  []*expr
	field []int // index of that which a capture sets
	of    *production
}

// productions are those of a grammar by the type of their struct. The zero value of a production in it
// is being read.
type productions map[reflect.Type]*production

// of returns the production of a struct. It panics where participle, which is given the same tags, would
// take them and this does not: the grammar of the language has not more than it needs.
func (ps productions) of(typ reflect.Type) *production {
	if p := ps[typ]; p != nil {
		return p
	}
	p := &production{typ: typ}
	ps[typ] = p
	r := &tagReader{in: typ, known: ps}
	r.fields(typ, nil)
	if f, ok := typ.FieldByName("Tokens"); ok {
		p.tokens = f.Index
	}
	if p.expr = r.choice(); len(r.words) > 0 {
		panic(r.wrong())
	}
	return p
}

// tagReader reads the tags of the fields of a struct, which stand for one text.
type tagReader struct {
	in    reflect.Type
	words []tagWord // not yet read
	known productions
}

// tagWord is a word of a tag with the field that has the tag.
type tagWord struct {
	text  string
	index []int
}

// fields splits the tags of a struct, those of embedded structs included, into words.
func (r *tagReader) fields(typ reflect.Type, index []int) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		at := append(index[:len(index):len(index)], i)
		if f.Anonymous {
			r.fields(f.Type, at)
			continue
		}
		for tag := strings.TrimSpace(f.Tag.Get("parser")); tag != ""; tag = strings.TrimSpace(tag) {
			n := wordLength(tag)
			r.words = append(r.words, tagWord{text: tag[:n], index: at})
			tag = tag[n:]
		}
	}
}

// wordLength returns the length of the first word of a tag: a literal with its quotes, a name, or a mark.
func wordLength(tag string) int {
	switch {
	case tag[0] == '\'':
		return 2 + strings.IndexByte(tag[1:], '\'')
	case strings.HasPrefix(tag, "(?!"):
		return len("(?!")
	case strings.HasPrefix(tag, "@@"):
		return len("@@")
	}
	return max(1, identLength(tag))
}

func (r *tagReader) wrong() string {
	return fmt.Sprintf("lang: the tags of %s: cannot read %v", r.in, r.words)
}

// next takes the next word when it is one of texts, and reports whether it was.
func (r *tagReader) next(texts ...string) (tagWord, bool) {
	if len(r.words) == 0 {
		return tagWord{}, false
	}
	for _, t := range texts {
		if w := r.words[0]; w.text == t {
			r.words = r.words[1:]
			return w, true
		}
	}
	return tagWord{}, false
}

func (r *tagReader) choice() *expr {
	alternatives := []*expr{r.sequence()}
	for {
		if _, ok := r.next("|"); !ok {
			return join(choice, alternatives)
		}
		alternatives = append(alternatives, r.sequence())
	}
}

func (r *tagReader) sequence() *expr {
	var parts []*expr
	for len(r.words) > 0 && r.words[0].text != "|" && r.words[0].text != ")" {
		e := r.term()
		if mark, ok := r.next("?", "*"); ok {
			op := optional
			if mark.text == "*" {
				op = repeated
			}
			e = &expr{op: op, args: []*expr{e}}
		}
		parts = append(parts, e)
	}
	return join(sequence, parts)
}

// join returns the one of args, or all of them under op.
func join(op operator, args []*expr) *expr {
	if len(args) == 1 {
		return args[0]
	}
	return &expr{op: op, args: args}
}

// term reads one term without what says how often it stands.
func (r *tagReader) term() *expr {
	if w, ok := r.next("@@"); ok {
		return &expr{op: nested, field: w.index, of: r.known.of(structOf(r.in.FieldByIndex(w.index).Type))}
	}
	if w, ok := r.next("@"); ok {
		return &expr{op: capture, field: w.index, args: []*expr{r.term()}}
	}
	if open, ok := r.next("(", "(?!"); ok {
		e := r.choice()
		if _, ok := r.next(")"); !ok {
			panic(r.wrong())
		}
		if open.text == "(?!" {
			e = &expr{op: absent, args: []*expr{e}}
		}
		return e
	}
	if len(r.words) == 0 {
		panic(r.wrong())
	}
	text := r.words[0].text
	typ, ok := definition{}.Symbols()[text]
	switch {
	case ok:
		r.words = r.words[1:]
		return &expr{op: terminal, typ: typ}
	case text[0] == '\'':
		r.words = r.words[1:]
		return &expr{op: literal, text: strings.Trim(text, "'")}
	}
	panic(r.wrong())
}

// structOf returns the struct that a field holds, points at or lists.
func structOf(typ reflect.Type) reflect.Type {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	return typ
}
