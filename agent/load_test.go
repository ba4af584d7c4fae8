// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mpol/agent/config"
	"mpol/compiler/program"
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
			p, list, err := load(t.Context(), cfg, inv)
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
