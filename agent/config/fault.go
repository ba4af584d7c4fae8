// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"mpol/lang/diag"
)

// Fault says in one sentence what is wrong with a YAML text that was to be read into a struct: it
// joins the lines of the decoder's error and speaks of keys and values, not of Go's types. Of an unknown
// key it says which one was probably meant.
func Fault(text []byte, err error, into any) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		if at := address(text, err); at != nil {
			return fmt.Errorf("line %d: %q is no address; write it like 10.0.0.1 or fd00::1", at.Line, at.Value)
		}
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	known := map[string][]string{}
	keys(reflect.TypeOf(into).Elem(), known)
	told := make([]string, len(wrong.Errors))
	for i, line := range wrong.Errors {
		told[i] = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(reworded(line, known)) // values are told as written
	}
	return errors.New(strings.Join(told, "; "))
}

// reworded says one of the decoder's errors in words of the file; known are the keys of structs.
func reworded(line string, known map[string][]string) string {
	unknown := regexp.MustCompile(`(?s)^(line \d+: )field (.+) not found in type ([\w.]+)$`)
	value := regexp.MustCompile("(?s)^(line \\d+: )cannot unmarshal !!(\\S+)(?: (`.*`))? into (\\S+)$")
	if m := unknown.FindStringSubmatch(line); m != nil {
		text := m[1] + "unknown key " + m[2]
		if near := diag.Nearest(m[2], known[m[3]]); near != "" {
			text += " (did you mean " + near + "?)"
		}
		return text
	}
	if m := value.FindStringSubmatch(line); m != nil {
		found := m[3]
		switch m[2] {
		case "seq":
			found = "a list"
		case "map":
			found = "keys with values"
		}
		return m[1] + "expected " + wanted(m[4]) + ", found " + found
	}
	return line
}

// wanted says what a value of one of Go's types looks like in the file.
func wanted(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case goType == "string":
		return "a text"
	case goType == "bool":
		return "true or false"
	case goType == "netip.Addr":
		return "an address"
	case goType == "time.Duration":
		return "a time such as 30s"
	case goType == "uint16":
		return "a number from 0 to 65535"
	case strings.HasPrefix(goType, "uint"):
		return "a number"
	}
	return "keys with values"
}

// address returns the value of a text that netip refuses with err, which says no line; nil if none is to
// blame.
func address(text []byte, err error) *yaml.Node {
	var root yaml.Node
	if yaml.Unmarshal(text, &root) != nil {
		return nil
	}
	var find func(n *yaml.Node) *yaml.Node
	find = func(n *yaml.Node) *yaml.Node {
		if _, refused := netip.ParseAddr(n.Value); n.Kind == yaml.ScalarNode && refused != nil && refused.Error() == err.Error() {
			return n
		}
		for _, c := range n.Content {
			if at := find(c); at != nil {
				return at
			}
		}
		return nil
	}
	return find(&root)
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
