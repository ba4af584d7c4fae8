// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/agent/config"
	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/diag"
)

// TestLoadGuardrails loads one policy with and without a guardrail of the configuration's.
func TestLoadGuardrails(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"p.mpol": "package p\n\ndefault deny\n\nworkload web = app = \"web\"\n\n" +
			"@owner(\"net\")\npolicy web for web {\n  ingress none\n  egress none\n}\n",
		"deny/closed/closed.rego": "package mpol.guardrails.closed\n\n" +
			"deny contains {\"span\": p.name_span, \"message\": \"closed\", \"help\": \"h\"} if some p in input.module.policies\n",
		"warn/quiet/quiet.rego": "package mpol.guardrails.quiet\n\n" +
			"warn contains {\"span\": p.name_span, \"message\": \"quiet\", \"help\": \"h\"} if some p in input.module.policies\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inv := program.Inventory{Workloads: []program.Workload{{
		Name: "web-1", Labels: []program.Label{{Key: "app", Value: "web"}}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")},
	}}}
	tests := []struct {
		name    string
		folders []string
		warns   string // code of a warning
		refuses string // code of an error
		err     string
	}{
		{"none", nil, "", "", ""},
		{"deny", []string{"deny"}, "", "guard/closed", ""},
		{"warn", []string{"warn"}, "guard/quiet", "", ""},
		{"both", []string{"warn", "deny"}, "", "guard/closed", ""},
		{"no folder", []string{"nowhere"}, "", "", "read guardrails of "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := &config.Config{Policies: []string{filepath.Join(dir, "p.mpol")}}
			for _, f := range tt.folders {
				cfg.Guardrails = append(cfg.Guardrails, filepath.Join(dir, f))
			}
			l := loader{cfg: cfg}
			p, list, err := l.load(t.Context(), inv)
			var refused *PolicyError
			switch {
			case errors.As(err, &refused):
				list = refused.Diagnostics
			case err == nil != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err):
				t.Fatalf("load = %v, want %q", err, tt.err)
			}
			if got, want := p != nil, tt.refuses == "" && tt.err == ""; got != want {
				t.Errorf("load gave a program: %v, want %v", got, want)
			}
			for _, code := range []string{tt.warns, tt.refuses} {
				found := code == ""
				for _, d := range list {
					found = found || string(d.Code) == code
				}
				if !found {
					t.Errorf("diagnostics %v, want %s among them", list, code)
				}
			}
		})
	}
}

// TestLoadExpired loads what has expired, and what has no date where it names one, and reports both.
func TestLoadExpired(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.mpol")
	text := "package p\n\ndefault deny\n\n@expires(\"2001-01-01\")\nworkload web = app = \"web\"\n\n" +
		"@owner(\"net\") @expires(\"soon\")\npolicy web for web {\n  ingress none\n  egress none\n}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l := loader{cfg: &config.Config{Policies: []string{file}}}
	p, list, err := l.load(t.Context(), program.Inventory{})
	if err != nil || p == nil {
		t.Fatalf("load = %v, %v, want a program", p, err)
	}
	var got []string
	for _, d := range list {
		got = append(got, fmt.Sprintf("%s %s %d", d.Severity, d.Code, d.Span.Start.Line))
	}
	for _, want := range []string{"warning expired 5", "warning bad-date 8"} {
		if !slices.Contains(got, want) {
			t.Errorf("load reports %q, want %q among them", got, want)
		}
	}
}

// TestLoadAgain loads after each of several changes what a loader without memory loads, and as much of
// the last program as is still true.
func TestLoadAgain(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy := func(app string, port int) string {
		return fmt.Sprintf("package p\n\n@owner(\"net\")\npolicy %[1]s for %[1]s {\n  ingress { in: allow from world on tcp/%d }\n  egress none\n}\n", app, port)
	}
	inventory := func(apps ...string) program.Inventory {
		var inv program.Inventory
		for i, app := range apps {
			inv.Workloads = append(inv.Workloads, program.Workload{
				Name: fmt.Sprintf("w%d", i), Labels: []program.Label{{Key: "app", Value: app}}, Interface: fmt.Sprintf("v%d", i),
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})},
			})
		}
		return inv
	}
	write("names.mpol", "package p\n\ndefault deny\n\nworkload a = app = \"a\"\nworkload b = app = \"b\"\n")
	write("a.mpol", policy("a", 80))
	write("b.mpol", policy("b", 80))
	cfg := &config.Config{Policies: []string{dir}}
	l := loader{cfg: cfg}
	last, _, err := l.load(t.Context(), inventory("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	type kept struct{ Rules, Table, Identities bool } // Table is that of a
	tests := []struct {
		name   string
		change func()
		apps   []string
		kept   kept
		wrong  bool
	}{
		{"nothing", func() {}, []string{"a", "b"}, kept{true, true, true}, false},
		{"workload", func() {}, []string{"a", "b", "b"}, kept{true, true, true}, false},
		{"labels", func() {}, []string{"a", "b", "c"}, kept{true, true, false}, false},
		{"port", func() { write("b.mpol", policy("b", 443)) }, []string{"a", "b", "c"}, kept{false, true, true}, false},
		{"mistake", func() {
			write("b.mpol", "package p\n\npolicy c for b {\n  ingress { in: allow from world on tcp/0 }\n}\n")
		}, []string{"a", "b", "c"}, kept{}, true},
		{"mended", func() { write("b.mpol", policy("b", 80)) }, []string{"a", "b", "c"}, kept{false, true, true}, false},
		{"file gone", func() { _ = os.Remove(filepath.Join(dir, "b.mpol")) }, []string{"a", "b", "c"}, kept{false, true, true}, false},
		{"all of it", func() { write("a.mpol", policy("a", 443)) }, []string{"b", "a"}, kept{false, false, false}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.change()
			inv := inventory(tt.apps...)
			p, list, err := l.load(t.Context(), inv)
			fresh := loader{cfg: cfg}
			want, wantList, wantErr := fresh.load(t.Context(), inv)
			if diff := cmp.Diff(wantList, list); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || errors.As(err, new(*PolicyError)) != tt.wrong {
				t.Fatalf("load = %v, want %v", err, wantErr)
			}
			if tt.wrong {
				return
			}
			if diff := cmp.Diff(dump(t, want), dump(t, p)); diff != "" {
				t.Errorf("program (-want +got):\n%s", diff)
			}
			got := kept{
				Rules:      &p.Rules.Sources[0] == &last.Rules.Sources[0],
				Table:      tableOf(t, p, "a") == tableOf(t, last, "a"),
				Identities: &p.Tables.Identities[0] == &last.Tables.Identities[0],
			}
			if got != tt.kept {
				t.Errorf("kept %+v, want %+v", got, tt.kept)
			}
			last = p
		})
	}
}

// tableOf is where the classes of what arrives at an app are.
func tableOf(t *testing.T, p *program.Program, app string) *program.Class {
	t.Helper()
	for i := range p.Tables.Tables {
		if c := p.Tables.Tables[i].Classes; p.Tables.Tables[i].Lineage == "ingress of p."+app {
			return &c[0]
		}
	}
	t.Fatalf("no table of %s", app)
	return nil
}

func dump(t *testing.T, p *program.Program) string {
	t.Helper()
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLoadLimits refuses a program with more profiles than half the ports of the configuration.
func TestLoadLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.mpol")
	text := "package p\n\ndefault deny\n\nworkload a = app = \"a\"\n\n@owner(\"net\")\npolicy a for a {\n" +
		"  ingress { in: allow from world on tcp/80-82 http { GET \"/\" } }\n  egress none\n}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inv := program.Inventory{Workloads: []program.Workload{{
		Name: "a", Labels: []program.Label{{Key: "app", Value: "a"}}, Interface: "a", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")},
	}}}
	l := loader{cfg: &config.Config{Policies: []string{file}}}
	for _, tt := range []struct {
		ports uint16
		codes []diag.Code
	}{{6, nil}, {5, []diag.Code{compiler.CodeLimitProfiles}}, {7, nil}} {
		l.cfg.Listen = config.Listen{L7First: 15100, L7Last: 15100 + tt.ports - 1}
		_, list, err := l.load(t.Context(), inv)
		var refused *PolicyError
		if errors.As(err, &refused) {
			list = refused.Diagnostics
		} else if err != nil {
			t.Fatal(err)
		}
		var codes []diag.Code
		for _, d := range list {
			codes = append(codes, d.Code)
		}
		if !slices.Equal(codes, tt.codes) {
			t.Errorf("with %d ports: %v, want %v", tt.ports, list, tt.codes)
		}
	}
}
