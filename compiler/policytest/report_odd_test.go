// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"go.yaml.in/yaml/v3"

	"mpol/compiler/policytest"
	"mpol/lang/diag"
)

// oddFile is a name that has a meaning in every format.
const oddFile = "dir/a \"b\" <c> & 'd', e::f: g|h%25 #i]]>\\ü`*[x](y).mpol"

// oddNames are names of tests that do, too.
func oddNames() []string {
	return []string{
		"plain", "# TODO", "x # SKIP no", `back\slash\`, `"quoted" 'single'`, "<b>&amp;]]><![CDATA[", "|cell|", "`tick` ```fence```",
		"100% %0A %25", "::error file=x::y", "a,b:c", "ünï日本🦊", "new\nline\r\n\ttab", "control\u0001\u007f\u0085\u200b", "**b** _i_ ~~s~~ [l](m)",
		"1..5", "ok 1", "Bail out!", "---", "...", "=cmd()", strings.Repeat("long ", 2000),
	}
}

// oddReport has a test of each odd name, with a line that passes, one that fails and one that is unclear.
func oddReport(t *testing.T) *policytest.Report {
	t.Helper()
	text := policy
	for _, name := range oddNames() {
		text += "test " + strconv.Quote(name) + " {\n  given w = { app = \"web\" }\n  given a = { app = \"api\" }\n" +
			"  allow w -> a on tcp/80\n  allow w -> a on tcp/8080 GET \"/#```|<&]]>%25`::\"\n  allow w -> a on tcp/8080\n}\n"
	}
	return reportOf(t, oddFile, text)
}

// printable is text as formats of one line show it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// written are what a writer wrote of a report.
func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	passing = "allow w -> a on tcp/80"
	denied  = "allow w -> a on tcp/8080 GET \"/#```|<&]]>%25`::\""
	unclear = "allow w -> a on tcp/8080"
)

// TestOddJUnit reads names back from JUnit with Python's reader of XML.
func TestOddJUnit(t *testing.T) {
	const script = `import json, sys, xml.etree.ElementTree as x
print(json.dumps([[s.get("name"), s.get("tests"), s.get("failures"), s.get("errors")] +
  [[c.get("name").split(": ", 1)[1], c.get("classname")] + [[p.tag, p.get("type"), "expected allow, got deny" in p.text] for p in c] for c in s]
  for s in x.parse(sys.stdin.buffer).getroot()]))`
	if err := exec.Command("python3", "-c", "import xml.etree.ElementTree").Run(); err != nil {
		t.Skip("python3 has no reader of XML; install it with: apt-get install python3")
	}
	c := exec.CommandContext(t.Context(), "python3", "-c", script)
	c.Stdin = strings.NewReader(written(t, oddReport(t).WriteJUnit))
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range oddNames() {
		name = strings.NewReplacer("\r", "\ufffd", "\u0001", "\ufffd").Replace(name) // which XML cannot hold
		want = append(want, []any{
			"p: " + name, "3", "1", "1",
			[]any{passing, oddFile},
			[]any{denied, oddFile, []any{"failure", "test-failed", true}},
			[]any{unclear, oddFile, []any{"error", "test-unclear", false}},
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JUnit (-want +got):\n%s", diff)
	}
}

// TestOddTAP reads names back as TAP 14 says: its sections Test Points, Escaping and YAML Diagnostics.
func TestOddTAP(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(written(t, oddReport(t).WriteTAP), "\n"), "\n")
	points := regexp.MustCompile(`^(ok|not ok) ([0-9]+) - ((?:[^\\#]|\\\\|\\#)*)$`)
	var got, want []string
	for i := 3; i < len(lines); i++ { // behind version, plan and seed
		m := points.FindStringSubmatch(lines[i])
		if m == nil {
			t.Fatalf("line %d is no test point: %s", i+1, lines[i])
		}
		got = append(got, m[1]+" "+m[2]+" "+strings.NewReplacer(`\\`, `\`, `\#`, "#").Replace(m[3]))
		if i+1 == len(lines) || lines[i+1] != "  ---" {
			continue
		}
		block := lines[i+2:]
		block = block[:slices.Index(block, "  ...")]
		i += 2 + len(block)
		var y struct {
			Message  string
			Severity string
			At       struct {
				File string
				Line int
			}
		}
		if err := yaml.Unmarshal([]byte(strings.Join(block, "\n")), &y); err != nil || y.At.File != oddFile || y.At.Line == 0 || y.Message == "" {
			t.Errorf("%v: the block holds %+v:\n%s", err, y, strings.Join(block, "\n"))
		}
	}
	for i, name := range oddNames() {
		want = append(want, fmt.Sprint("ok ", 3*i+1, " ", printable(name), ": ", passing),
			fmt.Sprint("not ok ", 3*i+2, " ", printable(name), ": ", denied), fmt.Sprint("not ok ", 3*i+3, " ", printable(name), ": ", unclear))
	}
	if diff := cmp.Diff(want, got); diff != "" || lines[0] != "TAP version 14" || lines[1] != fmt.Sprint("1..", len(want)) {
		t.Errorf("TAP (-want +got):\n%s\n%s", strings.Join(lines[:3], "\n"), diff)
	}
}

// TestOddGitHub reads the commands back as the runner of GitHub does: properties up to the next two
// colons, parted by commas, each without its escapes.
func TestOddGitHub(t *testing.T) {
	property := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	n := 0
	for line := range strings.Lines(written(t, func(w io.Writer) error { return diag.WriteGitHub(w, oddReport(t).Diagnostics()) })) {
		command, message, found := strings.Cut(strings.TrimPrefix(line, "::"), "::")
		kind, rest, _ := strings.Cut(command, " ")
		held := map[string]string{}
		for p := range strings.SplitSeq(rest, ",") {
			key, value, _ := strings.Cut(p, "=")
			held[key] = property.Replace(value)
		}
		message = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(strings.TrimSuffix(message, "\n"))
		want := fmt.Sprintf("test %q: ", oddNames()[n/2])
		if code := []string{"test-failed", "test-unclear"}[n%2]; !found || kind != "error" || held["file"] != oddFile || held["title"] != code || len(held) != 6 ||
			!strings.HasPrefix(message, want) {
			t.Errorf("%s holds %v and the message %q, want %s and %s", line, held, message, code, want)
		}
		n++
	}
	if n != 2*len(oddNames()) {
		t.Errorf("%d commands, want %d", n, 2*len(oddNames()))
	}
}

// TestOddGitLab holds the report against what GitLab documents of code quality reports.
func TestOddGitLab(t *testing.T) {
	var issues []struct {
		Description string
		Check       string `json:"check_name"`
		Fingerprint string
		Severity    string
		Location    struct {
			Path  string
			Lines struct{ Begin int }
		}
	}
	d := json.NewDecoder(strings.NewReader(written(t, oddReport(t).WriteGitLab)))
	d.DisallowUnknownFields()
	if err := d.Decode(&issues); err != nil || len(issues) != 2*len(oddNames()) {
		t.Fatalf("%d issues, want %d: %v", len(issues), 2*len(oddNames()), err)
	}
	seen := map[string]bool{}
	for n, i := range issues {
		if i.Location.Path != oddFile || i.Location.Lines.Begin == 0 || !strings.HasPrefix(i.Description, fmt.Sprintf("test %q: ", oddNames()[n/2])) ||
			!slices.Contains([]string{"info", "minor", "major", "critical", "blocker"}, i.Severity) || seen[i.Fingerprint] {
			t.Errorf("issue %+v", i)
		}
		seen[i.Fingerprint] = true
	}
}

// TestFingerprints: an issue of GitLab keeps its fingerprint when its line moves and when other tests come
// and go, and the same line twice has two.
func TestFingerprints(t *testing.T) {
	const line = "  allow w -> a on tcp/82\n"
	test := func(name, lines string) string {
		return "test \"" + name + "\" {\n  given w = { app = \"web\" }\n  given a = { app = \"api\" }\n" + lines + "}\n"
	}
	prints := func(text string) []string {
		var issues []struct{ Fingerprint string }
		if err := json.Unmarshal([]byte(written(t, reportOf(t, "r.mpol", text).WriteGitLab)), &issues); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, i := range issues {
			out = append(out, i.Fingerprint)
		}
		return out
	}
	both := prints(policy + test("a", line) + test("b", line+line))
	moved := prints("# another\n" + policy + test("b", "  allow w -> a on tcp/80\n"+line+line))
	if len(both) != 3 || len(slices.Compact(slices.Sorted(slices.Values(both)))) != 3 || !slices.Equal(moved, both[1:]) {
		t.Errorf("fingerprints %v, of the second test alone %v", both, moved)
	}
}

// TestOddSARIF reads places and messages back by another reader's types, which know what is valid.
func TestOddSARIF(t *testing.T) {
	log, err := sarif.FromString(written(t, func(w io.Writer) error { return diag.WriteSARIF(w, oddReport(t).Diagnostics()) }))
	if err != nil || len(log.Runs) != 1 || len(log.Runs[0].Results) != 2*len(oddNames()) {
		t.Fatalf("%v: %+v", err, log)
	}
	for n, r := range log.Runs[0].Results {
		at, err := url.Parse(*r.Locations[0].PhysicalLocation.ArtifactLocation.URI)
		if want := fmt.Sprintf("test %q: ", oddNames()[n/2]); err != nil || at.Path != oddFile || !strings.HasPrefix(*r.Message.Text, want) {
			t.Errorf("%v: result at %v: %s", err, at, *r.Message.Text)
		}
	}
}

// TestOddMarkdown reads cells and blocks back as GitHub's Markdown says: a cell ends at a bar without a
// backslash, a block at a line of as many ticks as began it.
func TestOddMarkdown(t *testing.T) {
	lines := strings.Split(written(t, oddReport(t).WriteMarkdown), "\n")
	escape, bar := regexp.MustCompile(`\\([[:punct:]])`), regexp.MustCompile(`(?:[^\\|]|\\.)+`)
	var names, blocks, heads []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		plain := func(s string) string { return escape.ReplaceAllString(s, "$1") }
		if ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]; len(ticks) >= 3 {
			end := slices.Index(lines[i+1:], ticks)
			blocks = append(blocks, strings.Join(lines[i+1:i+1+end], "\n"))
			i += 1 + end
			continue
		}
		if regexp.MustCompile("(^|[^\\\\])[`<*_[]").MatchString(strings.ReplaceAll(line, "**failed**", "")) {
			t.Errorf("line %d has a mark of Markdown: %s", i+1, line)
		}
		if head, is := strings.CutPrefix(line, "### "); is {
			heads = append(heads, plain(head))
		}
		if cells := bar.FindAllString(line, -1); strings.HasPrefix(line, "| ") && i > 5 {
			names = append(names, plain(strings.TrimSuffix(strings.TrimPrefix(cells[0], " "), " ")))
			if len(cells) != 3 || cells[1] != " 3 " || cells[2] != " **failed** " {
				t.Errorf("row %d has the cells %q", i+1, cells)
			}
		}
	}
	var wantNames, wantBlocks []string
	for _, name := range oddNames() {
		wantNames = append(wantNames, printable(name))
		wantBlocks = append(wantBlocks, denied, unclear)
	}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantBlocks, blocks); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if len(heads) != len(blocks) || !strings.HasPrefix(heads[0], oddFile+":") {
		t.Errorf("%d headings, the first %q", len(heads), heads[0])
	}
}

// TestOddJSON reads every text back as it was.
func TestOddJSON(t *testing.T) {
	var got, want []string
	for line := range strings.Lines(written(t, oddReport(t).WriteJSON)) {
		var l struct{ Test, File, Text, Status string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Test+l.File+l.Text+l.Status)
	}
	for _, name := range oddNames() {
		want = append(want, name+oddFile+passing+"pass", name+oddFile+denied+"fail", name+oddFile+unclear+"error")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// TestOddHuman: each mistake begins on a line of its own, and nothing is there that a terminal would obey.
func TestOddHuman(t *testing.T) {
	text := written(t, func(w io.Writer) error { return oddReport(t).WriteHuman(w, false) })
	n := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, oddFile+":") {
			n++
		}
		if line = strings.TrimSuffix(line, "\n"); line != printable(line) {
			t.Errorf("line %q", line)
		}
	}
	if n != 2*len(oddNames()) {
		t.Errorf("%d mistakes, want %d", n, 2*len(oddNames()))
	}
}
