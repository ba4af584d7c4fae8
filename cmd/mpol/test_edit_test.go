// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testLine is an assertion on a line of its own: what stands before its action, the action, the ends and what
// they do, and the rule that it names.
var testLine = regexp.MustCompile(`^(\s+)(allow|deny)(\s+[^#]*->[^#]*?)(\s+by [\w.-]+)?((?:\s+at \w+)?\s*(?:#.*)?)$`)

// TestEditsOfExamples turns lines of the tests of the examples into their contrary, one at a time. The edit
// that is suggested, pasted where it says, makes all lines pass.
func TestEditsOfExamples(t *testing.T) {
	folder, lines, edits := t.TempDir(), 0, 0
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, "policies/examples"))); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".mpol" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all := strings.Split(string(text), "\n")
		for i, line := range all {
			part := testLine.FindStringSubmatch(line)
			if part == nil {
				continue
			}
			lines++
			all[i] = part[1] + map[string]string{"allow": "deny", "deny": "allow"}[part[2]] + part[3] + part[5]
			if err := os.WriteFile(path, []byte(strings.Join(all, "\n")), 0o600); err != nil {
				return err
			}
			edits += pasted(t, filepath.Dir(path), all[i])
			all[i] = line
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if edits < 40 {
		t.Errorf("%d edits were suggested for %d lines", edits, lines)
	}
}

// pasted runs the tests of a folder of which one line is turned, makes each edit that is suggested, and returns
// how many there were.
func pasted(t *testing.T, folder, turned string) (edits int) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"test", "-o", "json", folder}, nil, &out, &errs); code != exitFailed {
		t.Fatalf("%s: exit code %d\n%s", turned, code, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		var result struct {
			Edit *struct {
				File      string
				Line      int
				Column    int
				EndLine   int `json:"end_line"`
				EndColumn int `json:"end_column"`
				Text      string
			}
		}
		if err := json.Unmarshal([]byte(line), &result); err != nil {
			t.Fatal(err)
		}
		e := result.Edit
		if e == nil {
			continue
		}
		edits++
		text, err := os.ReadFile(e.File)
		if err != nil {
			t.Fatal(err)
		}
		at := func(line, column int) int {
			before := strings.Join(strings.SplitAfter(string(text), "\n")[:line-1], "")
			return len(before) + len(string([]rune(string(text[len(before):]))[:column-1]))
		}
		from, to := at(e.Line, e.Column), at(e.EndLine, e.EndColumn)
		next := string(text[:from]) + e.Text + string(text[to:])
		if err := os.WriteFile(e.File, []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		if code := run(t.Context(), []string{"test", folder}, nil, &out, &errs); code != exitOK {
			t.Errorf("%s: with %q at %s:%d:%d the exit code is %d\n%s", turned, e.Text, filepath.Base(e.File), e.Line, e.Column, code, out.String())
		}
		if err := os.WriteFile(e.File, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return edits
}
