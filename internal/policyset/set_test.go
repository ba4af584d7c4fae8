// SPDX-License-Identifier: Apache-2.0

package policyset

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/guard"
	"mpol/internal/source"
	"mpol/lang/check"
)

func dump(t *testing.T, m *check.Module) string {
	t.Helper()
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSet: a second Read of changed files gives what a first one gives, and parses only the changed.
func TestSet(t *testing.T) {
	var files []source.File
	for i := range 40 {
		files = append(files, source.File{Name: fmt.Sprintf("%02d.mpol", i), Text: fmt.Appendf(nil, "package shop\nworkload w%d = n = \"%d\"\n", i, i)})
	}
	files = append(files, source.File{Name: "web.mpol", Text: []byte(names + web[len("package shop\n"):])})
	opt := Options{Guard: guard.Options{Guardrails: []guard.Guardrail{}}}
	var set Set
	if m, list, err := set.Read(t.Context(), files, opt); m == nil || err != nil {
		t.Fatalf("Read = %v, %v", list, err)
	}
	before := set.files
	files[7].Text = []byte("package shop\nworkload w7 = = \n")
	m, list, err := set.Read(t.Context(), files, opt)
	if m != nil || err != nil || len(list) == 0 || list[0].Span.File != "07.mpol" {
		t.Fatalf("Read of a broken file = %v, %v, want an error in it", list, err)
	}
	for name, p := range set.files {
		if same := p == before[name]; same != (name != "07.mpol") {
			t.Errorf("%s was kept: %v", name, same)
		}
	}
	files[7].Text = []byte("package shop\nworkload w7 = has x\n")
	files = files[1:]
	got, gotList, err := set.Read(t.Context(), files, opt)
	if err != nil {
		t.Fatal(err)
	}
	want, wantList, err := Read(t.Context(), files, opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dump(t, want), dump(t, got)); diff != "" {
		t.Errorf("module (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantList, gotList); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
}
