// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler"
	"mpol/compiler/guard"
	"mpol/compiler/policytest"
	"mpol/lang"
	"mpol/lang/diag"
	canon "mpol/lang/format"
)

// codes returns the codes of everything that reports, those of guardrails apart.
func codes() []diag.Code {
	return slices.Concat(diag.Codes(), compiler.Codes(), guard.Codes(), policytest.Codes())
}

// TestEveryCodeHasAPage and every page a code.
func TestEveryCodeHasAPage(t *testing.T) {
	pages, err := readPages()
	if err != nil {
		t.Fatal(err)
	}
	rails, err := guard.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, c := range codes() {
		want[string(c)] = true
	}
	for _, g := range rails {
		want[railPrefix+g.Name] = true
	}
	for _, p := range pages {
		if !want[p.code] {
			t.Errorf("docs/codes/%s.md explains a code that does not exist", p.code)
		}
		delete(want, p.code)
		if n := len(p.summary()); n == 0 || n > 130 && !strings.HasPrefix(p.code, railPrefix) {
			t.Errorf("the first sentence of %s has %d bytes, want 1 to 130", p.code, n)
		}
	}
	for c := range want {
		t.Errorf("%s has no page: write docs/codes/%s.md", c, c)
	}
}

// TestPages runs the examples of every page: the wrong one gives its code and no other, the right
// one none. The right one, and a wrong one that can be parsed, are formatted.
func TestPages(t *testing.T) {
	// Examples of these would be too large for a page, or need more than a policy.
	without := map[string]string{
		"file-too-large": "TestFileTooLarge of package lang",
		"too-many":       "TestDiagnostics of package compiler",
		// TestGolden of package compiler shows them with small limits, TestNodeLimits with those of a node.
		"limit-inventory": "limit-inventory.txtar",
		"limit-prefixes":  "limit-prefixes.txtar",
		"limit-members":   "limit-members.txtar",
		"limit-entries":   "limit-entries.txtar",
		"limit-profiles":  "limit-profiles.txtar",
	}
	pages, err := readPages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if strings.HasPrefix(p.code, railPrefix) {
			continue // its tests are those of the guardrail
		}
		t.Run(p.code, func(t *testing.T) {
			if !strings.HasPrefix(p.text, "# "+p.code+"\n\n") {
				t.Errorf("the page does not begin with its code as a title")
			}
			if without[p.code] != "" {
				if strings.Contains(p.text, "```") {
					t.Errorf("the page has an example; run it")
				}
				return
			}
			wrong, right := section(t, p.text, "Wrong"), section(t, p.text, "Right")
			formatted(t, wrong)
			formatted(t, right)
			// What lowering refuses it says for an inventory; the rest is known before.
			lower := slices.Contains(append(compiler.Codes(), diag.NotSupported), diag.Code(p.code))
			if got := said(t, wrong, lower); !slices.Equal(got, []string{p.code}) {
				t.Errorf("the wrong example gives %v, want %s alone", got, p.code)
			}
			if got := said(t, right, lower); len(got) > 0 {
				t.Errorf("the right example gives %v, want nothing", got)
			}
		})
	}
}

// example is a fenced block of a page: a file.
type example struct{ path, text string }

// section returns the files of a section of a page. The words behind a fence say what a block is:
// mpol [FILE] a policy, mpol quoted one as a Go string, yaml an inventory, rego and rego test a
// guardrail and its test.
func section(t *testing.T, page, title string) []example {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+title+"\n")
	if !ok {
		t.Fatalf("the page has no section %s", title)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var files []example
	for {
		_, after, found := strings.Cut(rest, "\n```")
		if !found {
			break
		}
		info, body, _ := strings.Cut(after, "\n")
		text, end, closed := strings.Cut(body, "\n```\n")
		if !closed {
			t.Fatalf("the block %q is not closed", info)
		}
		rest = "\n" + end
		words := strings.Fields(info + " ")
		file := example{text: text + "\n"}
		switch {
		case info == "mpol":
			file.path = "set/shop.mpol"
		case info == "mpol quoted":
			unquoted, err := strconv.Unquote(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			file = example{path: "set/shop.mpol", text: unquoted}
		case len(words) == 2 && words[0] == "mpol":
			file.path = "set/" + words[1]
		case info == "yaml":
			file.path = "node.yaml"
		case info == "rego":
			file.path = "guards/example/example.rego"
		case info == "rego test":
			file.path = "guards/example/example_test.rego"
		default:
			t.Fatalf("unknown block %q", info)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatalf("section %s has no example", title)
	}
	return files
}

// formatted demands the canonical form of the policies that have one.
func formatted(t *testing.T, files []example) {
	t.Helper()
	for _, f := range files {
		if filepath.Ext(f.path) != ".mpol" {
			continue
		}
		text, diags, err := canon.Source(f.path, []byte(f.text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), f.text); !diags.HasErrors() && diff != "" {
			t.Errorf("%s is not formatted (-want +got):\n%s", f.path, diff)
		}
	}
}

const exampleNode = `node_addresses: [192.0.2.1]
resolvers: [192.0.2.53]
workloads:
  - {name: web-1, labels: {app: web, env: prod}, addresses: [10.1.0.2], interface: veth-web}
`

// said returns the codes that the verbs give for files, each once; compile is asked if lower is set, else
// the others are given the inventory among the files.
func said(t *testing.T, files []example, lower bool) []string {
	t.Helper()
	t.Chdir(t.TempDir())
	has := map[string]bool{}
	for _, f := range append([]example{{path: "node.yaml", text: exampleNode}}, files...) {
		has[strings.Split(f.path, "/")[0]] = true
		if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.path, []byte(f.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var lines [][]string
	if has["set"] {
		var options []string
		if has["guards"] {
			options = []string{"--guardrails", "guards"}
		}
		if !lower && slices.ContainsFunc(files, func(f example) bool { return f.path == "node.yaml" }) {
			options = append(options, "--inventory", "node.yaml")
		}
		lines = append(lines, append([]string{"check", "--today", "2030-01-01", "--format", "json", "set"}, options...))
		if slices.ContainsFunc(files, func(f example) bool { return strings.Contains(f.text, "test \"") }) {
			lines = append(lines, append([]string{"test", "--today", "2030-01-01", "--format", "json", "set"}, options...))
		}
		if lower {
			lines = append(lines, append([]string{"compile", "--inventory", "node.yaml", "--format", "json", "set"}, options...))
		}
	} else {
		lines = append(lines, []string{"guard", "test", "--format", "json", "guards"})
	}
	var found []string
	for _, args := range lines {
		found = append(found, reported(t, args)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// reported runs a command line and returns the codes that it reports.
func reported(t *testing.T, args []string) []string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, nil, &stdout, &stderr)
	if code == exitUsage {
		if strings.HasPrefix(stderr.String(), "mpol: inventory ") {
			return []string{string(compiler.CodeInventory)} // it has no place in a policy
		}
		t.Fatalf("mpol %v: %s", args, stderr.String())
	}
	out := &stdout
	if args[0] == "compile" {
		out = &stderr
	}
	var found []string
	for s := bufio.NewScanner(out); s.Scan(); {
		var d struct{ Code string }
		if err := json.Unmarshal(s.Bytes(), &d); err != nil {
			t.Fatalf("mpol %v: %v: %s", args, err, s.Text())
		}
		found = append(found, d.Code)
	}
	if code != exitOK && len(found) == 0 {
		t.Fatalf("mpol %v ends with %d and says nothing", args, code)
	}
	return found
}

// TestExplainKnows every page by its code.
func TestExplainKnows(t *testing.T) {
	pages, err := readPages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"explain", p.code}, nil, &stdout, &stderr); code != exitOK || stdout.String() != p.text {
			t.Errorf("mpol explain %s = %d, %q", p.code, code, fmt.Sprint(stderr.String()))
		}
	}
}

// TestExplainWords: of every reserved word something is said beside that it is reserved.
func TestExplainWords(t *testing.T) {
	all := topics(lang.Spec())
	reserved := all[len(all)-1]
	if reserved.title != "Reserved words" {
		t.Fatalf("the text ends with %q", reserved.title)
	}
	words := strings.Fields(strings.Trim(reserved.parts[0], "`"))[1:] // behind the kind of the block
	if len(words) < 50 {
		t.Errorf("%d words, want all", len(words))
	}
	for _, w := range words {
		if found := about(all[:len(all)-1], w); len(found) == 0 {
			t.Errorf("nothing is said of %s", w)
		}
	}
}
