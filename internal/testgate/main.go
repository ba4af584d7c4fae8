// SPDX-License-Identifier: Apache-2.0

// Command testgate reads the events of "go test -json" and decides whether a run is good.
//
// It prints a line a package, what failed with its output, what was skipped with its reason, and
// last "N passed, N failed, N skipped", in which a test with subtests is counted by its subtests. It
// runs no tests itself.
//
//	go test -json ./... | go run ./internal/testgate
//
// Invariants: the exit code is 1 when a test or a package failed, when a test began and did not
// end, when nothing ran, and, where the environment says CI=true, when a test was skipped.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(gate(os.Stdin, os.Stdout, os.Getenv("CI") == "true"))
}

// gate reads events and returns the exit code.
func gate(events io.Reader, out io.Writer, failOnSkip bool) int {
	run := newRun(out)
	if err := run.read(events); err != nil {
		fmt.Fprintf(out, "testgate: %v\n", err)
		return 1
	}
	counts := run.finish()
	good := counts.failed == 0 && counts.passed > 0
	switch {
	case counts.passed+counts.failed+counts.skipped == 0:
		fmt.Fprintln(out, "testgate: no test ran")
	case failOnSkip && counts.skipped > 0:
		fmt.Fprintln(out, "testgate: a skipped test is a failure where CI=true")
		good = false
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", counts.passed, counts.failed, counts.skipped)
	if !good {
		return 1
	}
	return 0
}
