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

// TestMemoryPolicies: what holds no name for others comes and goes without a new check of their policies.
func TestMemoryPolicies(t *testing.T) {
	parse := func(name, text string) *lang.File {
		f, _ := lang.Parse(name, []byte("package p\n"+text))
		return f
	}
	names := parse("a.mpol", "default deny\nworkload web = app = \"web\"\n")
	first := parse("b.mpol", "policy first for web { ingress none egress none }\n")
	second := parse("c.mpol", "policy second for web { ingress none egress none }\n")
	more := parse("d.mpol", "workload more = app = \"more\"\n")
	var memory check.Memory
	var last *check.Policy
	for _, tt := range []struct {
		name  string
		files []*lang.File
		kept  bool
	}{
		{"one", []*lang.File{names, first}, false},
		{"another comes", []*lang.File{names, first, second}, true},
		{"it goes", []*lang.File{names, first}, true},
		{"a name comes", []*lang.File{names, first, more}, false},
		{"it goes", []*lang.File{names, first}, false},
	} {
		m, diags := memory.Check(tt.files, check.Options{})
		if m == nil || diags.HasErrors() {
			t.Fatalf("%s: %v", tt.name, diags)
		}
		if kept := m.Policies[0] == last; kept != tt.kept {
			t.Errorf("%s: the first policy is kept: %v, want %v", tt.name, kept, tt.kept)
		}
		last = m.Policies[0]
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
