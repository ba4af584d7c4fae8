// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mpol/compiler/policytest"
	"mpol/internal/source"
	"mpol/lang/diag"
)

// The formats of test reports beside those of diagnostics.
const (
	junit    format = "junit"
	tap      format = "tap"
	gitlab   format = "gitlab"
	markdown format = "markdown"
)

// output is one FORMAT=FILE; without a file it goes to the standard output.
type output struct {
	format format
	file   string
}

// outputs is the value of -o, which may be given several times.
type outputs []output

// Set implements pflag.Value.
func (o *outputs) Set(text string) error {
	name, file, named := strings.Cut(text, "=")
	if file == "-" || file == "/dev/stdout" { // opened anew it would be written over what is there
		file, named = "", false
	}
	known := []format{human, asJSON, junit, tap, github, gitlab, markdown, sarif}
	switch {
	case !slices.Contains(known, format(name)):
		words := make([]string, len(known))
		for i, k := range known {
			words[i] = string(k)
		}
		return fmt.Errorf("%q is no format; write one of %s", name, strings.Join(words, ", "))
	case named && file == "":
		return fmt.Errorf("name the file: %s=FILE", name)
	case slices.ContainsFunc(*o, func(other output) bool {
		return filepath.Clean(other.file) == filepath.Clean(file) && (other.file == "") == (file == "")
	}):
		return fmt.Errorf("two reports go to one place")
	}
	*o = append(*o, output{format(name), file})
	return nil
}

// String implements pflag.Value.
func (o *outputs) String() string { return "" }

// Type implements pflag.Value.
func (o *outputs) Type() string { return "FORMAT[=FILE]" }

// taken reports whether a report other than that for people has the standard output.
func (o outputs) taken() bool {
	return slices.ContainsFunc(o, func(out output) bool { return out.file == "" && out.format != human })
}

// spare refuses a report, or a page of coverage, that would be written over a policy of the run, over
// another report or into the file that is the standard output.
func (t *testRun) spare(policies []source.File) error {
	type destination struct{ flag, file string }
	var written []destination
	for _, o := range t.outputs {
		if o.file != "" {
			written = append(written, destination{fmt.Sprintf("-o %s=%s", o.format, o.file), o.file})
		}
	}
	if t.cover.page != "" {
		written = append(written, destination{"--cover-html " + t.cover.page, t.cover.page})
	}
	for i, d := range written {
		if f := slices.IndexFunc(policies, func(f source.File) bool { return sameFile(f.Name, d.file) }); f >= 0 {
			return usageError{fmt.Errorf("%s: it would be written over the policies in %s", d.flag, policies[f].Name)}
		}
		if isOutput(t.streams.out, d.file) {
			return usageError{fmt.Errorf("%s: the standard output goes there already", d.flag)}
		}
		if slices.ContainsFunc(written[:i], func(other destination) bool { return sameFile(other.file, d.file) }) {
			return usageError{fmt.Errorf("%s: two reports go to one place", d.flag)}
		}
	}
	return nil
}

// sameFile reports whether two names are of one file, which need not be there yet.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && x.Mode().IsRegular() && os.SameFile(x, y)
}

// isOutput reports whether a name is of the regular file that is being written as w.
func isOutput(w io.Writer, name string) bool {
	out, ok := w.(*os.File)
	if !ok {
		return false
	}
	x, errX := out.Stat()
	y, errY := os.Stat(name)
	return errX == nil && errY == nil && x.Mode().IsRegular() && os.SameFile(x, y)
}

// write writes the report everywhere, also where some of it cannot be written; to the standard output
// in the format stated for diagnostics unless an output says another.
func (o outputs) write(s streams, stated format, r *policytest.Report) error {
	var failures []error
	said := false
	for _, out := range o {
		if out.file == "" {
			said = true
			failures = append(failures, writeReport(s.out, out.format, r))
			continue
		}
		failures = append(failures, writeReportFile(out, r))
	}
	switch {
	case said:
	case stated == human:
		failures = append(failures, r.WriteHuman(s.out, colorful(s.out)))
	default:
		failures = append(failures, writeDiagnostics(s.out, stated, r.Diagnostics(), nil))
	}
	return errors.Join(failures...)
}

func writeReportFile(o output, r *policytest.Report) error {
	file, err := os.Create(o.file)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := writeReport(file, o.format, r); err != nil {
		_ = file.Close() // the first error is the one to tell
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeReport(w io.Writer, f format, r *policytest.Report) error {
	switch f {
	case asJSON:
		return r.WriteJSON(w)
	case junit:
		return r.WriteJUnit(w)
	case tap:
		return r.WriteTAP(w)
	case gitlab:
		return r.WriteGitLab(w)
	case markdown:
		return r.WriteMarkdown(w)
	case github:
		return diag.WriteGitHub(w, r.Diagnostics())
	case sarif:
		return diag.WriteSARIF(w, r.Diagnostics())
	}
	return r.WriteHuman(w, colorful(w))
}
