// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// decodeStrict reads one JSON object of the keys known into v. Unlike package json alone it takes a
// key only as it is spelt, once, and no text that is not UTF-8.
func decodeStrict(text []byte, known []string, v any) error {
	if !utf8.Valid(text) {
		return errors.New("not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if err := checkKeys(text, known); err != nil {
			return err
		}
		return errors.New(jsonFault(err))
	}
	if rest := bytes.TrimSpace(text[d.InputOffset():]); len(rest) > 0 {
		return errors.New("there is more than one JSON value")
	}
	return checkKeys(text, known)
}

// jsonFault says what package json found wrong, in words of the text instead of Go's.
func jsonFault(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		where := kind.Field
		if where == "" {
			where = "the line"
		}
		want := map[string]string{"string": "a string", "int": "a number"}[kind.Type.String()]
		switch {
		case want != "":
		case kind.Type.Kind().String() == "slice" || kind.Type.Kind().String() == "array":
			want = "a list"
		default:
			want = "an object"
		}
		got := "a " + kind.Value
		if strings.ContainsAny(kind.Value[:1], "ao") {
			got = "an " + kind.Value
		}
		return fmt.Sprintf("%s is %s, not %s", where, got, want)
	}
	if strings.HasPrefix(err.Error(), "unexpected EOF") {
		return "the JSON text ends early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// checkKeys goes through a JSON text and complains of a key that is unknown or comes twice.
func checkKeys(text []byte, known []string) error {
	type level struct {
		object bool
		seen   []string
	}
	var levels []level
	key := false // a string now would be a key
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '{', '[':
			levels, key = append(levels, level{object: c == '{'}), c == '{'
		case '}', ']':
			levels, key = levels[:max(0, len(levels)-1)], false
		case ',':
			key = len(levels) > 0 && levels[len(levels)-1].object
		case '"':
			end := stringEnd(text, i)
			if !key || end < 0 {
				i = max(i, end)
				continue
			}
			word, top := string(text[i+1:end]), &levels[len(levels)-1]
			if !slices.Contains(known, word) {
				return fmt.Errorf("unknown key %q%s", word, meant(word, known))
			}
			if slices.Contains(top.seen, word) {
				return fmt.Errorf("the key %q comes twice", word)
			}
			top.seen, key, i = append(top.seen, word), false, end
		}
	}
	return nil
}

// stringEnd returns where the string that begins at i has its closing quote, -1 if it has none.
func stringEnd(text []byte, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case '"':
			return j
		}
	}
	return -1
}

func meant(word string, known []string) string {
	if near := closest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// closest returns the known word nearest to a misspelt one, or nothing if none is near.
func closest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", 1+len(word)/3
	for _, k := range known {
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n <= least && (best == "" || n < least) {
			best, least = k, n
		}
	}
	return best
}

// distance counts the insertions, removals and replacements that lead from a to b; two letters
// swapped count as one.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
