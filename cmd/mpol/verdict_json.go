// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"mpol/lang/diag"
)

// reader reads one JSON text of a known shape. It takes a key only as it is spelt, once, and no text
// that is not UTF-8; null stands for what is absent.
type reader struct {
	text []byte
	at   int
}

// wrong is what is wrong at a place of the text, in columns from 1.
func (r *reader) wrong(at int, format string, args ...any) error {
	if at >= len(r.text) {
		return errors.New("the JSON text ends early")
	}
	return fmt.Errorf("column %d: %s", 1+utf8.RuneCount(r.text[:at]), fmt.Sprintf(format, args...))
}

// next returns the next byte that is no white space, 0 at the end.
func (r *reader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		if c := r.text[r.at]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

// is takes the byte that is next, if it is the one wanted.
func (r *reader) is(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

// null takes a null, if one is next.
func (r *reader) null() bool {
	r.next()
	if bytes.HasPrefix(r.text[r.at:], []byte("null")) {
		r.at += len("null")
		return true
	}
	return false
}

// expected complains of what is next where something else is wanted.
func (r *reader) expected(what string) error {
	c := r.next()
	found := strconv.QuoteRune(rune(c))
	switch {
	case c >= utf8.RuneSelf:
		found = "a letter outside a string"
	case c == '{':
		found = "an object"
	case c == '[':
		found = "a list"
	case c == '"':
		found = "a string"
	case c == 't' || c == 'f':
		found = "true or false"
	case c == '-' || '0' <= c && c <= '9':
		found = "a number"
	}
	return r.wrong(r.at, "expected %s, found %s", what, found)
}

// object reads an object; read is called for the value of each key.
func (r *reader) object(keys []string, read func(key string) error) error {
	if !r.is('{') {
		return r.expected("an object")
	}
	var seen []string
	for first := true; !r.is('}'); first = false {
		if !first && !r.is(',') {
			return r.wrong(r.at, "a comma or } is missing")
		}
		r.next()
		at := r.at
		key, err := r.string()
		switch {
		case err != nil:
			return err
		case !slices.Contains(keys, key):
			return r.wrong(at, "unknown key %q%s", key, meant(key, keys))
		case slices.Contains(seen, key):
			return r.wrong(at, "the key %q comes twice", key)
		case !r.is(':'):
			return r.wrong(r.at, "a colon is missing behind the key")
		}
		seen = append(seen, key)
		if r.null() {
			continue
		}
		if err := read(key); err != nil {
			return err
		}
	}
	return nil
}

// list reads a list; read is called for each of its values.
func (r *reader) list(read func() error) error {
	if !r.is('[') {
		return r.expected("a list")
	}
	for first := true; !r.is(']'); first = false {
		if !first && !r.is(',') {
			return r.wrong(r.at, "a comma or ] is missing")
		}
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

// string reads a string.
func (r *reader) string() (string, error) {
	if r.next() != '"' {
		return "", r.expected("a string")
	}
	start, plain := r.at, true
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '\\':
			plain = false
			r.at++
		case c < ' ':
			return "", r.wrong(r.at, "a control character in a string; write it as \\u%04x", c)
		case c == '"':
			r.at++
			if plain {
				return string(r.text[start+1 : r.at-1]), nil
			}
			var s string
			if err := json.Unmarshal(r.text[start:r.at], &s); err != nil {
				return "", r.wrong(start, "an escape in the string is none of JSON's")
			}
			return s, nil
		}
	}
	return "", r.wrong(len(r.text), "")
}

// optional reads a string that may be absent.
func (r *reader) optional() (*string, error) {
	s, err := r.string()
	return &s, err
}

// scalar reads a string or a number and returns it as it is written.
func (r *reader) scalar() (json.RawMessage, error) {
	c := r.next()
	start := r.at
	switch {
	case c == '"':
		if _, err := r.string(); err != nil {
			return nil, err
		}
	case c == '-' || '0' <= c && c <= '9':
		for r.at < len(r.text) && bytes.IndexByte([]byte("+-.0123456789eE"), r.text[r.at]) >= 0 {
			r.at++
		}
		if !json.Valid(r.text[start:r.at]) {
			return nil, r.wrong(start, "not a number of JSON")
		}
	default:
		return nil, r.expected("a string or a number")
	}
	return slices.Clone(r.text[start:r.at]), nil
}

// meant says which of the known words was probably meant, or nothing.
func meant(word string, known []string) string {
	if near := diag.Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
