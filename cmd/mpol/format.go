// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mpol/internal/source"
	"mpol/lang/diag"
)

// format says how a verb reports.
type format string

const (
	human  format = "human"
	asJSON format = "json"
	sarif  format = "sarif"
	github format = "github"
)

// formatFlag is the value of --format: one of the formats that the verb knows, the first of them
// unless stated.
type formatFlag struct {
	chosen format
	known  []format
}

// addFormat adds the flag --format to a verb.
func addFormat(c *cobra.Command, known ...format) *format {
	f := &formatFlag{chosen: known[0], known: known}
	c.Flags().Var(f, "format", "how to report")
	return &f.chosen
}

// Set implements pflag.Value.
func (f *formatFlag) Set(text string) error {
	if !slices.Contains(f.known, format(text)) {
		return fmt.Errorf("write one of %s", f.Type())
	}
	f.chosen = format(text)
	return nil
}

// String implements pflag.Value.
func (f *formatFlag) String() string { return string(f.chosen) }

// Type implements pflag.Value.
func (f *formatFlag) Type() string {
	words := make([]string, len(f.known))
	for i, k := range f.known {
		words[i] = string(k)
	}
	return strings.Join(words, "|")
}

// texts are those of files, by their names.
type texts map[string][]byte

func textsOf(files []source.File) texts {
	ts := make(texts, len(files))
	for _, f := range files {
		ts[f.Name] = f.Text
	}
	return ts
}

// text returns that of a file, nil for one that was not read.
func (ts texts) text(name string) []byte { return ts[name] }

// writeDiagnostics writes list in a format; files give the lines that human shows.
func writeDiagnostics(w io.Writer, f format, list diag.List, files texts) error {
	switch f {
	case asJSON:
		return diag.WriteJSON(w, list)
	case sarif:
		return diag.WriteSARIF(w, list)
	case github:
		return diag.WriteGitHub(w, list)
	}
	return diag.WriteHuman(w, list, files.text, colorful(w))
}

// colorful reports whether w is a terminal whose user has not asked for plain text.
func colorful(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// count writes a number with its noun: "1 file", "2 files".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
