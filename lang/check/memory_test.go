// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// TestMemory: after every edit a Check with memory gives what one without gives.
func TestMemory(t *testing.T) {
	texts := map[string]string{
		"net.mpol":  "package net\nworkload ns = role = \"ns\"\ncidrs corp = 10.0.0.0/8\ntier early order 50 default pass\n",
		"shop.mpol": "package shop\nimport net\ndefault deny\nworkload web = app = \"web\"\npolicy web for web { ingress { a: allow from net.corp on tcp/443 } egress { r: allow to net.ns on udp/53 } }\n",
		"more.mpol": "package shop\npolicy guard for web in early { ingress { b: deny from any except web, world on any } }\ntest \"t\" { given w = { app = \"web\" } deny w -> 198.51.100.1 on tcp/1 by web.a }\n",
		"log.mpol":  "package shop\npolicy log for web { egress { a: allow to world on tcp/443 http { GET \"/\" } b: allow to world on tcp/400-500 } ingress none }\n",
	}
	var memory check.Memory
	trees, parsed := map[string]*lang.File{}, map[string]string{}
	compare := func(what string, opt check.Options) {
		t.Helper()
		var files []*lang.File
		for _, name := range []string{"net.mpol", "shop.mpol", "more.mpol", "log.mpol", "own.mpol"} {
			if texts[name] == "" {
				continue
			}
			if parsed[name] != texts[name] {
				trees[name], _ = lang.Parse(name, []byte(texts[name]))
				parsed[name] = texts[name]
			}
			files = append(files, trees[name])
		}
		got, gotDiags := memory.Check(files, opt)
		want, wantDiags := check.Check(files, opt)
		if diff := cmp.Diff(whole(t, want), whole(t, got)); diff != "" {
			t.Errorf("after %s: module (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(wantDiags, gotDiags); diff != "" {
			t.Errorf("after %s: diagnostics (-want +got):\n%s", what, diff)
		}
	}
	edit := func(name, from, to string) {
		t.Helper()
		if !strings.Contains(texts[name], from) {
			t.Fatalf("%s does not contain %q", name, from)
		}
		texts[name] = strings.Replace(texts[name], from, to, 1)
		compare(fmt.Sprintf("%s: %s to %s", name, from, to), check.Options{})
	}
	compare("the first run", check.Options{})
	compare("no change", check.Options{})
	edit("shop.mpol", "tcp/443", "tcp/444")
	edit("net.mpol", "10.0.0.0/8", "10.0.0.0/9")
	edit("net.mpol", "package net\n", "package net\n\n\n")
	edit("net.mpol", "order 50", "order 60")
	edit("net.mpol", "default pass", "default deny")
	edit("net.mpol", "workload ns", "workload nsx")
	edit("net.mpol", "workload nsx", "workload ns")
	edit("shop.mpol", "import net\n", "")
	edit("shop.mpol", "package shop\n", "package shop\nimport net\n")
	edit("log.mpol", "http { GET", "http GET")
	edit("log.mpol", "http GET", "http { GET")
	edit("log.mpol", "b: allow", "b: audit allow")
	edit("log.mpol", "b: audit allow", "a: allow")
	edit("log.mpol", "a: allow to world on tcp/400-500", "")
	edit("net.mpol", "cidrs corp", "domains a = \"0\", b\ndomains b\ncidrs corp")
	compare("no change of a file with mistakes", check.Options{})
	edit("net.mpol", "domains a = \"0\", b\ndomains b\n", "")
	// A tier that may have been meant, and a name without a value in a rule with a warning.
	edit("net.mpol", "tier early", "tir early")
	edit("net.mpol", "tir early order 60 default deny", "cidrs early = 10.0.0.0/8")
	edit("net.mpol", "cidrs early = 10.0.0.0/8", "tier early order 60 default deny\nservice plain = tcp/80")
	edit("shop.mpol", "egress {", "egress { m: allow to world on net.plain")
	edit("net.mpol", "service plain = tcp/80", "service plain =")
	edit("net.mpol", "service plain =", "service plain = tcp/80")
	// A name that another package may have, and an import that the first of two names reports.
	edit("net.mpol", "package net", "packag net")
	edit("net.mpol", "packag net", "package other")
	edit("net.mpol", "package other", "package net")
	edit("more.mpol", "package shop", "package shop\ncidrs mine = net.corp\ncidrs both = net.corp")
	edit("shop.mpol", "default deny", "default deny\ncidrs all = both")
	edit("shop.mpol", "cidrs all = both\n", "")
	edit("more.mpol", "cidrs mine = net.corp\ncidrs both = net.corp", "")
	delete(texts, "more.mpol")
	compare("removing a file", check.Options{})
	texts["own.mpol"] = "@owner(\"own\") package own\npolicy all for workloads { ingress none egress none }\n"
	compare("adding a file of another package", check.Options{})
	edit("own.mpol", "package own", "package shop")
	edit("own.mpol", "@owner(\"own\") ", "")
	edit("own.mpol", "package shop", "package net")
	edit("net.mpol", "package net", "package nets")
	edit("own.mpol", "package net", "")
	edit("own.mpol", "policy all", "package net\npolicy all")
}

// TestMemoryWidened: of rules that one of another file widens, a Check with memory finds the same one whatever
// file comes, goes, changes or moves.
func TestMemoryWidened(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	files := 0
	file := func() *lang.File {
		files++
		text := "package a\n"
		for i := range 2 {
			text += fmt.Sprintf("policy x%d-%d for (app = %q)%s {\n ingress none\n egress {\n", files, i, pick("a", "b"), pick("", " in early"))
			for range random.IntN(3) {
				text += fmt.Sprintf("  allow to %s on %s%s\n", pick("world", "10.0.0.0/8", "workloads", "192.0.2.1"),
					pick("tcp/80", "tcp/81", "tcp/1-100"), pick("", ` http { GET "/" }`))
			}
			text += "  allow to 198.51.100.1 on udp/1\n }\n}\n"
		}
		f, diags := lang.Parse(fmt.Sprintf("f%d.mpol", files), []byte(text))
		if len(diags) > 0 {
			t.Fatalf("%v in\n%s", diags, text)
		}
		return f
	}
	head, _ := lang.Parse("a.mpol", []byte("package a\ndefault deny\ntier early order 50 default deny\n"))
	set := []*lang.File{head, file(), file(), file()}
	var memory check.Memory
	var last []string
	changes := 0
	for range 500 {
		at := 1 + random.IntN(len(set)-1)
		switch random.IntN(4) {
		case 0:
			set[at] = file()
		case 1:
			if len(set) < 6 {
				set = slices.Insert(set, at, file())
			}
		case 2:
			if len(set) > 3 {
				set = slices.Delete(set, at, at+1)
			}
		case 3:
			set[1], set[at] = set[at], set[1]
		}
		_, got := memory.Check(set, check.Options{})
		_, want := check.Check(set, check.Options{})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("diagnostics (-want +got):\n%s", diff)
		}
		if got.HasErrors() {
			t.Fatal(got)
		}
		var widened []string
		for _, d := range got {
			if d.Code == diag.L7Widened {
				widened = append(widened, fmt.Sprint(d.Span, d.Related[0].Span))
			}
		}
		if !slices.Equal(widened, last) {
			changes++
		}
		last = widened
	}
	if changes < 100 {
		t.Errorf("what is widened changed %d times", changes)
	}
}

// TestMemoryPolicies: a file's policies are checked again when a name in them means something else, and
// then alone.
func TestMemoryPolicies(t *testing.T) {
	const names = "package a\ndefault deny\nworkload web = app = \"web\"\ncidrs corp = 10.0.0.0/8\n" +
		"domains more = \"a.example.com\"\nservice api = tcp/80\nresolver ns = 192.0.2.53 on udp/53\n"
	const policy = "package a\nimport b\nworkload front = web and role = \"front\"\npolicy p for front { ingress none egress { resolve via ns allow to corp, b.lab on api allow to more on tcp/443 " +
		"allow to \"quoted\", \"x.example.com\" on tcp/444 tls { sni \"named\" } } }\n"
	const other = "package b\ncidrs lab = 10.9.0.0/16\n"
	trees := map[string]*lang.File{}
	parse := func(name, text string) *lang.File {
		if trees[name+text] == nil {
			trees[name+text], _ = lang.Parse(name, []byte(text))
		}
		return trees[name+text]
	}
	for _, tt := range []struct {
		name        string
		in          string // of which text
		old, new    string
		kept, wrong bool
	}{
		{name: "nothing", in: names, kept: true},
		{name: "places", in: names, old: "default deny", new: "\n\ndefault deny", kept: true},
		{name: "a comment", in: names, old: "default deny", new: "# a comment\ndefault deny", kept: true},
		{name: "another name", in: names, old: "default deny", new: "default deny\ncidrs more-corp = 10.0.0.0/8", kept: true},
		{name: "a doc comment", in: names, old: "workload web", new: "## The web.\nworkload web", kept: true},
		{name: "the default", in: names, old: "default deny", new: "default allow", kept: true},
		{name: "the same in other words", in: names, old: "app = \"web\"", new: "app in [\"web\"]", kept: true},
		{name: "a name in another package", in: other, old: "cidrs lab", new: "cidrs more = 10.1.1.1\ncidrs lab", kept: true},
		{name: "a name in the subject", in: names, old: "app = \"web\"", new: "app = \"webs\""},
		{name: "cidrs", in: names, old: "10.0.0.0/8", new: "10.0.0.0/9"},
		{name: "domains", in: names, old: "a.example.com", new: "b.example.com"},
		{name: "a service", in: names, old: "tcp/80", new: "tcp/81"},
		{name: "a resolver's address", in: names, old: "192.0.2.53", new: "192.0.2.54"},
		{name: "a resolver's port", in: names, old: "udp/53", new: "udp/54"},
		{name: "a resolver's names", in: names, old: "on udp/53", new: "on udp/53 for \"*.example.com\", \"quoted\", \"*.example.com\""},
		{name: "an imported name", in: other, old: "10.9.0.0/16", new: "10.9.0.0/17"},
		{name: "another kind", in: names, old: "cidrs corp = 10.0.0.0/8", new: "workload corp = web"},
		{name: "a name that is quoted", in: names, old: "default deny", new: "default deny\ncidrs quoted = 10.0.0.0/8"},
		{name: "a server name that is quoted", in: names, old: "default deny", new: "default deny\ndomains named = \"x.example.com\""},
		{name: "a tier", in: names, old: "default deny", new: "default deny\ntier early order 50 default pass"},
		{name: "no name", in: names, old: "cidrs corp", new: "cidrs corps", wrong: true},
		{name: "a name without a value", in: names, old: "10.0.0.0/8", new: "10.0.0.1/8", wrong: true},
		{name: "no package", in: other, old: "package b", new: "package c", wrong: true},
		{name: "a broken name", in: names, old: "service api = tcp/80", new: "service api = ", wrong: true},
		{name: "what might be the name", in: names, old: "service api = tcp/80", new: "servic api = tcp/80", wrong: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var memory check.Memory
			run := func(names, other string) (*check.Module, diag.List) {
				files := []*lang.File{parse("a.mpol", names), parse("p.mpol", policy), parse("b.mpol", other)}
				return memory.Check(files, check.Options{})
			}
			edit := func(text string) string {
				if tt.in != text {
					return text
				}
				if !strings.Contains(text, tt.old) {
					t.Fatalf("no %q in %q", tt.old, text)
				}
				return strings.Replace(text, tt.old, tt.new, 1)
			}
			first, diags := run(names, other)
			if first == nil {
				t.Fatal(diags)
			}
			second, diags := run(edit(names), edit(other))
			if (second == nil) != tt.wrong {
				t.Fatalf("the edit: %v, want errors: %v", diags, tt.wrong)
			}
			if second != nil {
				if kept := second.Policies[0] == first.Policies[0]; kept != tt.kept {
					t.Errorf("the policy is kept: %v, want %v", kept, tt.kept)
				}
			}
			third, diags := run(names, other)
			if third == nil {
				t.Fatalf("back: %v", diags)
			}
			if kept := third.Policies[0] == first.Policies[0]; kept != tt.kept {
				t.Errorf("back, the policy is kept: %v, want %v", kept, tt.kept)
			}
		})
	}
}

// whole renders a module with its places.
func whole(t *testing.T, m *check.Module) string {
	t.Helper()
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMemoryToday: the day is part of what is remembered.
func TestMemoryToday(t *testing.T) {
	file, _ := lang.Parse("a.mpol", []byte("package a\ndefault deny\npolicy p for workloads { ingress { @expires(\"2027-01-02\") a: allow from any on tcp/1 } egress none }\n"))
	var memory check.Memory
	for _, tt := range []struct {
		day  int
		want bool
	}{{2, true}, {3, false}, {2, true}} {
		m, _ := memory.Check([]*lang.File{file}, check.Options{Today: time.Date(2027, 1, tt.day, 0, 0, 0, 0, time.UTC)})
		if got := m != nil; got != tt.want {
			t.Errorf("day %d: a module: %v, want %v", tt.day, got, tt.want)
		}
	}
}
