// SPDX-License-Identifier: Apache-2.0

package format_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// same demands that a text means what its form means, that the form keeps every comment, and that it
// is its own form.
func same(t *testing.T, text string) {
	t.Helper()
	formatted := source(t, text)
	if diff := cmp.Diff(meaning(t, text), meaning(t, formatted)); diff != "" {
		t.Errorf("the meaning changes (-text +formatted):\n%s\n%s", diff, text)
	}
	if diff := cmp.Diff(formatted, source(t, formatted)); diff != "" {
		t.Errorf("formatting again changes the form (-first +second):\n%s\n%s", diff, text)
	}
	if diff := cmp.Diff(comments(text), comments(formatted)); diff != "" {
		t.Errorf("comments change (-text +formatted):\n%s", diff)
	}
}

// result is what a file means: its diagnostics and its Module, places apart.
type result struct {
	Codes  []diag.Code
	Module any
}

func meaning(t *testing.T, text string) result {
	t.Helper()
	file, diags := lang.Parse("a.mpol", []byte(text))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	var r result
	for _, d := range append(diags, more...) {
		r.Codes = append(r.Codes, d.Code)
	}
	encoded, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &r.Module); err != nil {
		t.Fatal(err)
	}
	r.Module = placeless(r.Module)
	return r
}

// placeless drops the places of a Module, and the white space and commas of what it holds as written.
func placeless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			text, isText := inner.(string)
			switch {
			case k == "span" || strings.HasSuffix(k, "_span"):
				delete(v, k)
			case isText && (k == "text" || strings.HasSuffix(k, "_text")):
				v[k] = strings.NewReplacer(" ", "", ",", "").Replace(text)
			default:
				v[k] = placeless(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = placeless(v[i])
		}
	}
	return v
}

// comments returns the comments of a text, their ends trimmed.
func comments(text string) []string {
	_, list := lang.Scan("a.mpol", []byte(text))
	var texts []string
	for _, c := range list {
		texts = append(texts, strings.TrimRight(c.Text, " \t"))
	}
	return texts
}
