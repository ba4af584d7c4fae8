// SPDX-License-Identifier: Apache-2.0

package policyset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/guard"
	"mpol/internal/source"
	"mpol/lang/check"
	"mpol/lang/diag"
)

const (
	names = "package shop\n\nworkload web = app = \"web\"\n"
	web   = "package shop\n\ndefault deny\n\n@owner(\"team-web\")\npolicy web for web {\n  egress none\n  ingress { pages: allow from world on tcp/443 }\n}\n"
)

func TestRead(t *testing.T) {
	failing := guard.Options{Guardrails: []guard.Guardrail{{Name: "x", File: "x/x.rego", Text: "package mpol.guardrails.x"}}}
	june := func(day int) check.Options {
		return check.Options{Today: time.Date(2027, 6, day, 23, 0, 0, 0, time.UTC)}
	}
	tests := []struct {
		name  string
		files []string
		opt   Options
		want  []diag.Code
		ok    bool
	}{
		{"good", []string{names, web}, Options{}, nil, true},
		{"broken text", []string{names, web, "package shop\n\nworkload db = "}, Options{}, []diag.Code{diag.Syntax}, false},
		{"wrong meaning", []string{web}, Options{}, []diag.Code{diag.WrongKind}, false},
		{"guardrail", []string{names, "package shop\n\ndefault deny\n\npolicy web for web {\n  ingress none\n  egress none\n}\n"}, Options{}, []diag.Code{"guard/owner"}, false},
		{"broken guardrail", []string{names, web}, Options{Guard: failing}, []diag.Code{guard.CodeFailed}, false},
		{"guardrail after an error", []string{web}, Options{Guard: failing}, []diag.Code{diag.WrongKind}, false},
		{"last day", []string{names + "\n@expires(\"2027-06-30\") cidrs x = 10.0.0.0/8\n", web}, Options{Check: june(30)}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var files []source.File
			for i, text := range tt.files {
				files = append(files, source.File{Name: string(rune('a'+i)) + ".mpol", Text: []byte(text)})
			}
			m, list, err := Read(t.Context(), files, tt.opt)
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			var codes []diag.Code
			for _, d := range list {
				if d.Severity == diag.Error {
					codes = append(codes, d.Code)
				}
			}
			if diff := cmp.Diff(tt.want, codes); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			if (m != nil) != tt.ok {
				t.Errorf("module = %v, want one: %v", m, tt.ok)
			}
		})
	}
}

func TestGuardrails(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"org/a/a", "org/b/b", "more/c/c", "clash/b/b", "builtin/owner/owner", "half/d/e"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name+".rego", nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("linked", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../more/c", "linked/c"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		folders []string
		want    []string
		err     string
	}{
		{"built-in alone", nil, nil, ""},
		{"folders in order", []string{"org", "more"}, []string{"a", "b", "c"}, ""},
		{"links", []string{"linked"}, []string{"c"}, ""},
		{"two of a name", []string{"org", "clash"}, nil, "guardrail clash/b/b.rego has the name of org/b/b.rego"},
		{"a folder twice", []string{"more", "more"}, nil, "guardrail more/c/c.rego has the name of more/c/c.rego"},
		{"name of a built-in one", []string{"builtin"}, nil, "guardrail builtin/owner/owner.rego has the name of a built-in guardrail"},
		{"no folder", []string{"nowhere"}, nil, "read guardrails of nowhere: "},
		{"a file", []string{"org/a/a.rego"}, nil, "read guardrails of org/a/a.rego: "},
		{"no guardrail in it", []string{"empty"}, nil, "read guardrails of empty: "},
		{"no rule in one", []string{"half"}, nil, "read guardrail half/d: "},
	}
	builtin, err := guard.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs, err := Guardrails(tt.folders)
			if (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
				t.Fatalf("Guardrails = %v, want %q", err, tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(builtin, gs[:len(builtin)]); diff != "" {
				t.Errorf("built-in guardrails (-want +got):\n%s", diff)
			}
			var names []string
			for _, g := range gs[len(builtin):] {
				names = append(names, g.Name)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("guardrails of folders (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	files := []source.File{{Name: "a.mpol", Text: []byte(names)}, {Name: "b.mpol", Text: []byte(web)}}
	if _, _, err := Read(ctx, files, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v, want the error of the context", err)
	}
}
