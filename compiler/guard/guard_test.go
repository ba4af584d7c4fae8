// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// span returns a place in shop.mpol, offsets 10*line to 10*line+5.
func span(line int) diag.Span {
	return lines(line, line)
}

func lines(first, last int) diag.Span {
	return diag.Span{
		File:  "shop.mpol",
		Start: diag.Pos{Line: first, Column: 1, Offset: 10 * first},
		End:   diag.Pos{Line: last, Column: 6, Offset: 10*last + 5},
	}
}

// shop returns a module of one policy with one rule in each direction, at which every built-in
// guardrail has something to say unless a change takes it away.
func shop(changes ...func(*check.Policy)) *check.Module {
	rule := func(line int) *check.Rule {
		return &check.Rule{
			Action:    program.Allow,
			Peers:     program.Peers{Include: []program.Peer{{Kind: program.PeerAny}}},
			L4:        []program.L4{{Any: true}},
			WholeIPv4: true,
			Span:      lines(line, line+1),
			PlaceSpan: span(line),
			L4Span:    span(line + 1),
		}
	}
	p := &check.Policy{
		Name:     "shop.web",
		Ingress:  &check.Block{Rules: []*check.Rule{rule(20)}, Span: span(19)},
		Egress:   &check.Block{Rules: []*check.Rule{rule(30)}, Span: span(29)},
		Span:     lines(10, 40),
		NameSpan: span(10),
	}
	for _, change := range changes {
		change(p)
	}
	return &check.Module{Files: []string{"shop.mpol"}, Policies: []*check.Policy{p}}
}

func annotate(key string, values ...string) check.Annotation {
	return check.Annotation{Key: key, Values: values, Span: span(5)}
}

// found returns code and line of each diagnostic.
func found(list diag.List) []string {
	var out []string
	for _, d := range list {
		out = append(out, string(d.Code)+" at "+d.Span.String())
	}
	return out
}

// builtin returns the built-in guardrails of these names.
func builtin(t *testing.T, names ...string) []Guardrail {
	t.Helper()
	gs, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(gs, func(g Guardrail) bool { return !slices.Contains(names, g.Name) })
}

func TestRunBuiltin(t *testing.T) {
	onPolicy := func(as ...check.Annotation) func(*check.Policy) {
		return func(p *check.Policy) { p.Annotations = as }
	}
	onEgress := func(as ...check.Annotation) func(*check.Policy) {
		return func(p *check.Policy) { p.Egress.Rules[0].Annotations = as }
	}
	const (
		owner   = "guard/owner at shop.mpol:10:1"
		ingress = "guard/admin-ports at shop.mpol:21:1"
		open    = "guard/open-egress at shop.mpol:30:1"
		egress  = "guard/admin-ports at shop.mpol:31:1"
		blank   = "guard-exception at shop.mpol:5:1"
		unknown = "unknown-guardrail at shop.mpol:5:1"
	)
	tests := []struct {
		name   string
		change func(*check.Policy)
		want   []string
	}{
		{"everything is wrong", func(*check.Policy) {}, []string{owner, ingress, open, egress}},
		{"all is well", func(p *check.Policy) {
			p.Annotations = []check.Annotation{annotate("owner", "team-web")}
			p.Ingress.Rules[0].L4 = []program.L4{{Proto: program.ProtoTCP, First: 443, Last: 443}}
			p.Egress.Rules[0].WholeIPv4 = false
		}, nil},
		{"exception on the rule", onEgress(annotate("allow", "open-egress", "mirror")), []string{owner, ingress, egress}},
		{"exception on the policy", onPolicy(annotate("allow", "admin-ports", "lab")), []string{owner, open}},
		{"exception of the language", onPolicy(annotate("allow", "broad-domain", "lab")), []string{owner, ingress, open, egress}},
		{"exception of another name", onPolicy(annotate("allow", "admin-port", "lab")), []string{unknown, owner, ingress, open, egress}},
		{"exception on another rule", onEgress(annotate("allow", "owner", "lab")), []string{owner, ingress, open, egress}},
		{"two exceptions", onPolicy(annotate("allow", "admin-ports", "lab"), annotate("allow", "owner", "lab")), []string{open}},
		{"empty reason", onPolicy(annotate("allow", "owner", "")), []string{blank, owner, ingress, open, egress}},
		{"blank reason", onEgress(annotate("allow", "open-egress", " ")), []string{blank, owner, ingress, open, egress}},
		{"no reason", onPolicy(annotate("allow", "owner")), []string{blank, owner, ingress, open, egress}},
		{"one direction only", func(p *check.Policy) { p.Ingress = nil }, []string{owner, open, egress}},
		{"denies", func(p *check.Policy) {
			p.Ingress.Rules[0].Action = program.Deny
			p.Egress.Rules[0].Action = program.Deny
		}, []string{owner}},
		{"none", func(p *check.Policy) { p.Ingress.Rules, p.Egress.Rules = nil, nil }, []string{owner}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := Run(t.Context(), shop(tt.change), Options{Guardrails: builtin(t, "owner", "admin-ports", "open-egress")})
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
			if diff := cmp.Diff(tt.want, found(list)); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunDiagnostic(t *testing.T) {
	change := func(p *check.Policy) { p.Ingress, p.Egress = nil, nil }
	list, err := Run(t.Context(), shop(change), Options{})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	want := diag.List{{
		Code:     "guard/owner",
		Severity: diag.Error,
		Span:     span(10),
		Summary:  "policy shop.web has no owner",
		Help:     `write @owner("team") on the line before the policy`,
	}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
}

func TestRunWarning(t *testing.T) {
	const text = `package mpol.guardrails.probe

deny contains say(p.name_span, "no") if some p in input.module.policies

warn contains say(p.span, "well") if some p in input.module.policies

say(span, message) := {"span": span, "message": message, "help": "h"}
`
	warning := diag.Diagnostic{Code: "guard/probe", Severity: diag.Warning, Span: lines(10, 40), Summary: "well", Help: "h"}
	denial := diag.Diagnostic{Code: "guard/probe", Span: span(10), Summary: "no", Help: "h"}
	exception := func(p *check.Policy) { p.Annotations = []check.Annotation{annotate("allow", "probe", "lab")} }
	tests := []struct {
		name, text string
		change     func(*check.Policy)
		want       diag.List
	}{
		{"both", text, func(*check.Policy) {}, diag.List{denial, warning}},
		{"warn alone", strings.Replace(text, "deny contains", "warn contains", 1), func(*check.Policy) {}, diag.List{
			{Code: "guard/probe", Severity: diag.Warning, Span: span(10), Summary: "no", Help: "h"}, warning,
		}},
		{"exception", text, exception, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := Guardrail{Name: "probe", File: "probe/probe.rego", Text: tt.text}
			list, err := Run(t.Context(), shop(tt.change), Options{Guardrails: []Guardrail{g}})
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
			if diff := cmp.Diff(tt.want, list); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExceptionAnywhere has a guardrail that minds everything that may bear an exception.
func TestExceptionAnywhere(t *testing.T) {
	const text = `package mpol.guardrails.probe

deny contains {"span": place.span, "message": "no", "help": "h"} if {
	some field in ["tier_places", "resolvers", "tests"]
	some place in input.module[field]
}
`
	for _, reason := range []string{"", "a lab"} {
		as := []check.Annotation{annotate("allow", "probe", reason)}
		m := &check.Module{
			Files:      []string{"shop.mpol"},
			TierPlaces: []check.TierPlace{{Annotations: as, Span: span(1)}},
			Resolvers:  []*check.Resolver{{Annotations: as, Span: span(2)}},
			Tests:      []*check.Test{{Annotations: as, Span: span(3)}},
		}
		list, err := Run(t.Context(), m, Options{Guardrails: []Guardrail{{Name: "probe", File: "probe.rego", Text: text}}})
		if err != nil {
			t.Fatalf("Run: %v", err)
		}
		var want []string
		if reason == "" {
			want = []string{
				"guard/probe at shop.mpol:1:1", "guard/probe at shop.mpol:2:1", "guard/probe at shop.mpol:3:1",
				"guard-exception at shop.mpol:5:1",
			}
		}
		if diff := cmp.Diff(want, found(list)); diff != "" {
			t.Errorf("with the reason %q (-want +got):\n%s", reason, diff)
		}
	}
}

// TestFailClosed runs guardrails that are broken in some way over a module in which they have
// nothing to deny: each is reported for itself.
func TestFailClosed(t *testing.T) {
	const head = "package mpol.guardrails.probe\n\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", "cannot be read: "},
		{"a comment", "# deny nothing", "cannot be read: "},
		{"no Rego", "deny everything", "does not compile"},
		{"another package", "package mpol.guardrails.other\n\ndeny := set()", "has the package data.mpol.guardrails.other"},
		{"no set", head + "allow := true", "defines neither deny nor warn"},
		{"misspelt set", head + "warn := set()\n\ndney contains 1 if input.version == 1", "has the rule dney, which neither"},
		{"unused help", head + "deny := set()\n\nopen(r) if r.whole_ipv4", "has the rule open, which neither"},
		{"deny is undefined", head + "deny := 1 if input.version == 2", "deny is not a set"},
		{"deny is true", head + "deny := true", "deny is not a set"},
		{"deny is null", head + "deny := null", "deny is not a set"},
		{"deny of texts", head + "deny contains \"no\"", "deny is not a set"},
		{"a field too many", head + element(`"message": "m", "help": "h", "severity": "warning"`), "deny is not a set"},
		{"no message", head + element(`"help": "h"`), "lacks its message"},
		{"no help", head + element(`"message": "m"`), "lacks its message or its help"},
		{"a place of its own", head + `deny contains {"span": "/etc/passwd:1:1-1:2", "message": "m", "help": "h"}`, "none of the input's"},
		{"misspelt field", head + "deny contains p if some p in input.module.polices", "undefined ref: input.module.polices"},
		{"misspelt field of a rule", head + "deny contains r if some r in input.module.policies[_].ingress.rules[_].lables", "undefined ref"},
		{"no such package", head + "deny contains p if some p in data.mpol.owners", "reads data.mpol.owners, which"},
		{"another guardrail", head + "deny := data.mpol.guardrails.owner.deny", "reads data.mpol.guardrails.owner.deny, which"},
		{"every guardrail", head + "deny contains g if some g in data.mpol.guardrails", "is recursive"},
		{"no such import", "package mpol.guardrails.probe\n\nimport data.lib.owners\n\ndeny contains p if some p in owners.all", "reads data.lib.owners.all, which"},
		{"warn is true", head + "warn := true", "warn is not a set"},
		{"warn is undefined", head + "deny := set()\n\nwarn := 1 if input.version == 2", "warn is not a set"},
		{"two values", head + "deny := x if some x in [set(), {1}]", "failed: "},
		{"failing call", head + `deny contains 1 if to_number(input.module.policies[0].name) > 0`, "failed: "},
		{"network", head + `deny contains 1 if http.send({"method": "get", "url": "http://192.0.2.1/"})`, "undefined function http.send"},
		{"look-up", head + `deny contains 1 if net.lookup_ip_addr("example.com")`, "undefined function net.lookup_ip_addr"},
		{"environment", head + `deny contains 1 if opa.runtime().env.HOME`, "undefined function opa.runtime"},
		{"clock", head + `deny contains 1 if time.now_ns() > 0`, "undefined function time.now_ns"},
		{"randomness", head + `deny contains 1 if rand.intn("x", 2) == 1`, "undefined function rand.intn"},
		{"unknown variable", head + "deny contains 1 if nothing", "unsafe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := Guardrail{Name: "probe", File: "probe/probe.rego", Text: tt.text}
			beside := Guardrail{Name: "owner", File: "o/o.rego", Text: "package mpol.guardrails.owner\n\ndeny := set()"}
			list, err := Run(t.Context(), shop(), Options{Guardrails: []Guardrail{g, beside}})
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
			if len(list) == 0 {
				t.Fatal("no diagnostic")
			}
			d := list[0]
			if d.Code != "guard-failed" || d.Severity != diag.Error || d.Span.File != g.File || d.Span.Start.Line < 1 {
				t.Errorf("diagnostic = %+v, want the error guard-failed at a place of %s", d, g.File)
			}
			if !strings.HasPrefix(d.Summary, "guardrail probe ") || !strings.Contains(d.Summary, tt.want) {
				t.Errorf("summary = %q, want %q in it", d.Summary, tt.want)
			}
		})
	}
}

func element(fields string) string {
	return `deny contains {"span": input.module.policies[0].span, ` + fields + "}"
}

// slow counts triples of a large set: minutes of work for a few bytes of Rego.
const slow = `package mpol.guardrails.slow

digits := {n | some a in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]; some b in [0, 10, 20, 30, 40, 50, 60, 70]; n := a + b}

deny contains 1 if {
	count([1 | some a in digits; some b in digits; some c in digits; some d in digits; some e in digits; a + b + c + d + e < 0]) > 0
}
`

func TestDeadline(t *testing.T) {
	g := Guardrail{Name: "slow", File: "slow/slow.rego", Text: slow}
	list, err := Run(t.Context(), shop(), Options{Guardrails: []Guardrail{g}, Deadline: 20 * time.Millisecond})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if len(list) != 1 || list[0].Summary != "guardrail slow did not finish within 20ms" {
		t.Errorf("diagnostics = %+v, want one about the deadline", list)
	}
}

// TestBeside runs a broken guardrail beside good ones, which still say what they have to.
func TestBeside(t *testing.T) {
	gs := append(builtin(t, "owner"), Guardrail{Name: "probe", File: "probe.rego", Text: "package mpol.guardrails.probe\n\ndeny := nothing"})
	list, err := Run(t.Context(), shop(), Options{Guardrails: gs})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if diff := cmp.Diff([]string{"guard/owner at shop.mpol:10:1", "guard-failed at probe.rego:3:9"}, found(list)); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
}

func TestTwice(t *testing.T) {
	gs := append(builtin(t, "owner"), builtin(t, "owner")...)
	if _, err := Run(t.Context(), shop(), Options{Guardrails: gs}); err == nil {
		t.Error("Run of a guardrail twice: no error")
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	g := Guardrail{Name: "slow", File: "slow/slow.rego", Text: slow}
	if _, err := Run(ctx, shop(), Options{Guardrails: []Guardrail{g}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want the error of the context", err)
	}
}

// TestLoadOfNothing holds that the error names the folder as the user wrote it, once.
func TestLoadOfNothing(t *testing.T) {
	_, err := Load("own", os.DirFS(filepath.Join(t.TempDir(), "nothing")))
	if want := "read guardrails of own: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("Load = %v, want %s", err, want)
	}
}

func TestLoad(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("package mpol.guardrails.x")}
	tests := []struct {
		name   string
		folder fstest.MapFS
		want   []Guardrail
		err    string
	}{
		{"empty", fstest.MapFS{}, nil, "read guardrails of own: there is none"},
		{"files alone", fstest.MapFS{"README.md": file}, nil, "read guardrails of own: there is none"},
		{"hidden", fstest.MapFS{".git/config": file, "x/x.rego": file}, []Guardrail{{"x", "own/x/x.rego", "package mpol.guardrails.x"}}, ""},
		{"one", fstest.MapFS{"x/x.rego": file, "x/x_test.rego": file}, []Guardrail{{"x", "own/x/x.rego", "package mpol.guardrails.x"}}, ""},
		{"no rule", fstest.MapFS{"x/y.rego": file}, nil, "read guardrail own/x: the folder has no x.rego"},
		{"a rule beside the folders", fstest.MapFS{"x/x.rego": file, "y.rego": file}, nil, "read guardrail own/y.rego: it belongs into a folder of its own: own/y/y.rego"},
		{"a second rule", fstest.MapFS{"x/x.rego": file, "x/y.rego": file}, nil, "read guardrail own/x: y.rego is neither"},
		{"link", fstest.MapFS{"x": {Mode: fs.ModeSymlink, Data: []byte("y")}, "y/y.rego": file}, nil, "read guardrail own/x: "},
		{"a folder as rule", fstest.MapFS{"x/x.rego/y": file}, nil, "read guardrail own/x: x.rego: "},
		{"link to nothing", fstest.MapFS{"x": {Mode: fs.ModeSymlink, Data: []byte("z")}, "y/y.rego": file}, nil, "read guardrail own/x: "},
		{"bad name", fstest.MapFS{"X y/X y.rego": file}, nil, "read guardrail own/X y: the name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load("own", tt.folder)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Load (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Load = %v, want %q in the error", err, tt.err)
			}
		})
	}
}
