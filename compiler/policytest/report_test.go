// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"mpol/compiler/policytest"
	"mpol/lang/check"
	"mpol/lang/diag"
)

const reported = policy + `test "# odd \\ <name> & \"more\" \u0001" {
  given w = { app = "web" }
  given a = { app = "api" }
  allow w -> a on tcp/80
  allow w -> a on tcp/82
  allow w -> a on tcp/8080
}
todo test "later" {
  given w = { app = "web" }
  given a = { app = "api" }
  allow w -> a on tcp/83
  deny  w -> a on tcp/83
}
`

// report runs the tests of text.
func report(t *testing.T, text string) *policytest.Report {
	t.Helper()
	return reportOf(t, "r.mpol", text)
}

// reportOf runs the tests of the text of a file.
func reportOf(t *testing.T, name, text string) *policytest.Report {
	t.Helper()
	m := module(t, name, text)
	r := policytest.NewReport(m, func(string) []byte { return []byte(text) })
	for _, test := range m.Tests {
		one := *m
		one.Tests = []*check.Test{test}
		r.Blocks = append(r.Blocks, r.NewBlock(test, policytest.Run(&one, policytest.Options{}), time.Millisecond))
	}
	r.Seed = 42
	return r
}

func wrong(t *testing.T) *policytest.Report {
	t.Helper()
	r := policytest.NewReport(module(t, "r.mpol", policy), func(string) []byte { return nil })
	at := diag.Pos{Line: 1, Column: 1}
	r.Wrong = diag.List{{Code: diag.Syntax, Summary: "# wrong", Span: diag.Span{File: "r.mpol", Start: at, End: at}}}
	return r
}

// element says what Jenkins' JUnit schema allows of an element: attributes (those with ! it
// demands) and children.
type element struct{ attributes, children []string }

func junitSchema() map[string]element {
	problem := element{attributes: []string{"type", "message"}}
	return map[string]element{
		"testsuites": {
			[]string{"name", "time", "tests", "failures", "disabled", "errors"}, []string{"testsuite"},
		},
		"testsuite": {
			[]string{"!name", "!tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
			[]string{"properties", "testcase", "system-out", "system-err"},
		},
		"testcase": {
			[]string{"!name", "!classname", "assertions", "time", "status"},
			[]string{"skipped", "error", "failure", "system-out", "system-err"},
		},
		"skipped": problem, "error": problem, "failure": problem,
	}
}

// TestJUnit reads the report by another reader than its writer and holds it against the schema.
func TestJUnit(t *testing.T) {
	for name, r := range map[string]*policytest.Report{"run": report(t, reported), "wrong": wrong(t)} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := r.WriteJUnit(&b); err != nil {
				t.Fatal(err)
			}
			counts := map[string]int{}
			var open []string
			d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
			for {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%v in\n%s", err, b.String())
				}
				switch e := token.(type) {
				case xml.StartElement:
					checkElement(t, open, e)
					open = append(open, e.Name.Local)
					counts[e.Name.Local]++
				case xml.EndElement:
					open = open[:len(open)-1]
				}
			}
			want := map[string]int{"testsuites": 1, "testsuite": 2, "testcase": 5, "failure": 1, "error": 1, "skipped": 1}
			if name == "wrong" {
				want = map[string]int{"testsuites": 1, "testsuite": 1, "testcase": 1, "error": 1}
			}
			for e := range junitSchema() {
				if counts[e] != want[e] {
					t.Errorf("%d elements %s, want %d:\n%s", counts[e], e, want[e], b.String())
				}
			}
		})
	}
}

func checkElement(t *testing.T, open []string, e xml.StartElement) {
	t.Helper()
	schema := junitSchema()
	is, known := schema[e.Name.Local]
	parent := "testsuites"
	if len(open) > 0 {
		parent = open[len(open)-1]
	}
	switch {
	case !known:
		t.Errorf("element %s is not in the schema", e.Name.Local)
	case len(open) == 0 && e.Name.Local != "testsuites":
		t.Errorf("the root is %s", e.Name.Local)
	case len(open) > 0 && !slices.Contains(schema[parent].children, e.Name.Local):
		t.Errorf("element %s stands in %s", e.Name.Local, parent)
	}
	for _, a := range e.Attr {
		if !slices.Contains(is.attributes, a.Name.Local) && !slices.Contains(is.attributes, "!"+a.Name.Local) {
			t.Errorf("attribute %s of %s is not in the schema", a.Name.Local, e.Name.Local)
		}
	}
	for _, name := range is.attributes {
		must, ok := strings.CutPrefix(name, "!")
		if ok && !slices.ContainsFunc(e.Attr, func(a xml.Attr) bool { return a.Name.Local == must }) {
			t.Errorf("%s lacks %s", e.Name.Local, must)
		}
	}
}

// TestTAP lets Perl's parser read the stream. It knows versions up to 13, whose points, directives
// and YAML blocks are those of 14.
func TestTAP(t *testing.T) {
	const script = `use TAP::Parser; my $p = TAP::Parser->new({tap => join("", <STDIN>)});
while (my $r = $p->next) { next unless $r->is_test || $r->is_yaml || $r->is_bailout || $r->is_unknown;
  my $todo = $r->is_test && $r->has_todo ? " todo" : ""; my $ok = $r->is_test ? ($r->is_actual_ok ? " ok" : " no") : "";
  print $r->type, $ok, $todo, "\n"; }
print "planned ", $p->tests_planned // 0, " run ", $p->tests_run, " problems ", scalar($p->parse_errors), "\n";`
	if err := exec.Command("perl", "-MTAP::Parser", "-e", "1").Run(); err != nil {
		t.Skip("perl has no TAP::Parser; install it with: apt-get install perl")
	}
	for _, tt := range []struct {
		name, want string
		report     *policytest.Report
	}{
		{"run", "test ok\ntest no\nyaml\ntest no\nyaml\ntest no todo\nyaml\ntest ok todo\nplanned 5 run 5 problems 0\n", report(t, reported)},
		{"empty", "planned 0 run 0 problems 0\n", report(t, policy)},
		{"wrong", "bailout\nplanned 0 run 0 problems 1\n", wrong(t)}, // it misses a plan
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.report.WriteTAP(&b); err != nil {
				t.Fatal(err)
			}
			stream, ok := strings.CutPrefix(b.String(), "TAP version 14\n")
			if !ok {
				t.Errorf("the first line is not the version:\n%s", b.String())
			}
			c := exec.CommandContext(t.Context(), "perl", "-e", script)
			c.Stdin = strings.NewReader("TAP version 13\n" + stream)
			out, err := c.CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("%v, the parser read\n%swant\n%sfrom\n%s", err, out, tt.want, stream)
			}
		})
	}
}

// Every other writer takes odd names and a run that did not come to pass.
func TestWriters(t *testing.T) {
	for _, r := range []*policytest.Report{report(t, reported), wrong(t), report(t, policy)} {
		for name, write := range map[string]func(io.Writer) error{
			"json": r.WriteJSON, "gitlab": r.WriteGitLab, "markdown": r.WriteMarkdown,
			"human": func(w io.Writer) error { return r.WriteHuman(w, true) }, "tap": r.WriteTAP, "junit": r.WriteJUnit,
			"github": func(w io.Writer) error { return diag.WriteGitHub(w, r.Diagnostics()) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil || strings.ContainsRune(b.String(), '\u0001') {
				t.Errorf("%s: %v\n%q", name, err, b.String())
			}
		}
	}
}
