// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mpol/compiler/policytest"
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
	case slices.ContainsFunc(*o, func(other output) bool { return other.file == file }):
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

// write writes the report everywhere; to the standard output in the format stated for diagnostics
// unless an output says another.
func (o outputs) write(s streams, stated format, r *policytest.Report) error {
	said := false
	for _, out := range o {
		if out.file == "" {
			said = true
			if err := writeReport(s.out, out.format, r); err != nil {
				return err
			}
			continue
		}
		if err := writeReportFile(out, r); err != nil {
			return err
		}
	}
	switch {
	case said:
		return nil
	case stated == human:
		return r.WriteHuman(s.out, colorful(s.out))
	}
	return writeDiagnostics(s.out, stated, r.Diagnostics(), nil)
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
