// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mpol/internal/source"
	"mpol/lang/diag"
)

// format says how a verb reports; it is the value of --format.
type format string

const (
	human      format = "human"
	jsonFormat format = "json"
)

// Set implements pflag.Value.
func (f *format) Set(text string) error {
	switch v := format(text); v {
	case human, jsonFormat:
		*f = v
		return nil
	case "sarif", "github":
		return errors.New("not supported yet: write human or json")
	}
	return errors.New("write human or json")
}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (*format) Type() string { return "human|json" }

// addFormat adds the flag --format to a verb.
func addFormat(c *cobra.Command) *format {
	f := human
	c.Flags().Var(&f, "format", "how to report")
	return &f
}

// writeDiagnostics writes list in a format; files give the lines that human shows.
func writeDiagnostics(w io.Writer, f format, list diag.List, files []source.File) error {
	if f == jsonFormat {
		return diag.WriteJSON(w, list)
	}
	text := func(name string) []byte {
		for _, file := range files {
			if file.Name == name {
				return file.Text
			}
		}
		return nil
	}
	return diag.WriteHuman(w, list, text, colorful(w))
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
