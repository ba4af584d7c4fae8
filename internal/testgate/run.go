// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of "go test -json"; see "go doc test2json". Build output has an ImportPath
// instead of a Package.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// counts are numbers of tests.
type counts struct{ passed, failed, skipped int }

// result is what is known of one test, or of a package itself under the empty name.
type result struct {
	action string // "run" until it ended
	output strings.Builder
}

// run collects the events of all packages and prints each package when it ends.
type run struct {
	out      io.Writer
	total    counts
	packages map[string]map[string]*result
	builds   map[string]*strings.Builder
}

func newRun(out io.Writer) *run {
	return &run{
		out:      out,
		packages: make(map[string]map[string]*result),
		builds:   make(map[string]*strings.Builder),
	}
}

// read takes events to the end. A line that is no event is printed as it is.
func (r *run) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}

func (r *run) line(line []byte) {
	var e event
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(r.out, "%s\n", bytes.TrimRight(line, "\n"))
		return
	}
	if e.Action == "build-output" {
		if r.builds[e.ImportPath] == nil {
			r.builds[e.ImportPath] = new(strings.Builder)
		}
		r.builds[e.ImportPath].WriteString(e.Output)
	}
	if e.Package == "" {
		return
	}
	tests := r.packages[e.Package]
	if tests == nil {
		tests = map[string]*result{"": {action: "run"}}
		r.packages[e.Package] = tests
	}
	test := tests[e.Test]
	if test == nil {
		test = &result{action: "run"}
		tests[e.Test] = test
	}
	switch e.Action {
	case "output":
		test.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		test.action = e.Action
		if e.Test == "" {
			r.end(e)
		}
	}
}

// end prints a package that has ended and adds its tests to the total.
func (r *run) end(e event) {
	tests := r.packages[e.Package]
	delete(r.packages, e.Package)
	var here counts
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		if name == "" {
			continue
		}
		test := tests[name]
		switch {
		case test.action == "fail" || test.action == "run":
			fmt.Fprintf(r.out, "--- FAIL: %s %s\n%s", e.Package, name, said(test))
		case test.action == "skip":
			fmt.Fprintf(r.out, "--- SKIP: %s %s\n%s", e.Package, name, said(test))
		}
		if !hasSubtests(tests, name) || test.action == "skip" {
			here.add(test.action)
		}
	}
	if e.Action == "fail" && here.failed == 0 {
		// It did not build, or it ended outside every test.
		here.failed++
		fmt.Fprint(r.out, said(tests[""]))
		if build := r.builds[e.FailedBuild]; build != nil {
			fmt.Fprint(r.out, build.String())
		}
	}
	r.total.passed += here.passed
	r.total.failed += here.failed
	r.total.skipped += here.skipped
	if e.Action == "skip" {
		return // a package without tests
	}
	fmt.Fprintf(r.out, "%-4s  %-36s %5.1fs  %d passed, %d failed, %d skipped\n",
		e.Action, e.Package, e.Elapsed, here.passed, here.failed, here.skipped)
}

// finish ends the packages that did not end themselves and returns the total.
func (r *run) finish() counts {
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		r.end(event{Action: "fail", Package: name})
	}
	return r.total
}

func (c *counts) add(action string) {
	switch action {
	case "pass":
		c.passed++
	case "skip":
		c.skipped++
	default:
		c.failed++
	}
}

// hasSubtests says whether another test of the package lies below name.
func hasSubtests(tests map[string]*result, name string) bool {
	for other := range tests {
		if strings.HasPrefix(other, name+"/") {
			return true
		}
	}
	return false
}

// said is a test's output without the lines that only tell its course.
func said(test *result) string {
	var text strings.Builder
	for line := range strings.Lines(test.output.String()) {
		trimmed := strings.TrimSpace(line)
		course := slices.ContainsFunc([]string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "--- "},
			func(prefix string) bool { return strings.HasPrefix(trimmed, prefix) })
		if !course {
			text.WriteString(line)
		}
	}
	return text.String()
}
