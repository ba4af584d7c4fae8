// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// writeFacts says on what machine the figures are taken and how busy it is.
func writeFacts(w io.Writer, rounds int) error {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return fmt.Errorf("ask for the kernel: %w", err)
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	model, err := processor()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s, %d CPUs, Linux %s, load %s before; medians of %d rounds (least to greatest)\n\n",
		model, runtime.NumCPU(), unix.ByteSliceToString(kernel.Release[:]), strings.Fields(string(load))[0], rounds)
	return err
}

// processor is the model name of the first CPU.
func processor() (string, error) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value), nil
		}
	}
	return runtime.GOARCH, nil
}

// writeTable writes a row for each metric.
func writeTable(w io.Writer, all []*comparison) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tunit\tbeside\tthere\tmpol\tratio")
	for _, c := range all {
		for i, m := range c.metrics {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.what, m.unit, c.beside.name,
				spread(c.beside.values[i]), spread(c.ours.values[i]), spread(c.ratios(i)))
		}
	}
	return t.Flush()
}

// spread is a median with the least and the greatest value.
func spread(values []float64) string {
	return fmt.Sprintf("%s (%s-%s)", number(quantile(values, 0.5)), number(quantile(values, 0)), number(quantile(values, 1)))
}

// number has three digits that mean something.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
