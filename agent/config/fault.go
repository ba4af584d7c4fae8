// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"mpol/lang/diag"
)

// Fault says in one sentence what is wrong with a YAML text that was to be read into a struct: it
// joins the lines of the decoder's error and speaks of keys, not of Go's types. Of an unknown key it
// says which one was probably meant.
func Fault(err error, into any) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	known := map[string][]string{}
	keys(reflect.TypeOf(into).Elem(), known)
	unknown := regexp.MustCompile(`field (\S+) not found in type ([\w.]+)`)
	told := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(strings.Join(wrong.Errors, "; ")) // values are told as written
	return errors.New(unknown.ReplaceAllStringFunc(told, func(text string) string {
		m := unknown.FindStringSubmatch(text)
		text = "unknown key " + m[1]
		if near := diag.Nearest(m[1], known[m[2]]); near != "" {
			text += " (did you mean " + near + "?)"
		}
		return text
	}))
}

// keys collects the keys of a struct and of the structs in it, by their types.
func keys(t reflect.Type, known map[string][]string) []string {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer:
		keys(t.Elem(), known)
		return nil
	case reflect.Struct:
	default:
		return nil
	}
	var own []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		in := keys(f.Type, known)
		switch {
		case options == "inline":
			own = append(own, in...)
		case name != "":
			own = append(own, name)
		}
	}
	known[t.String()] = own
	return own
}
