// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"mpol/e2e/lab"
)

// TestBench runs one round of the benchmarks of a node: each figure is there, whatever it is.
func TestBench(t *testing.T) {
	t.Parallel()
	lab.Test(t) // says what this machine lacks
	pid := bench(t, []string{"-part", "node", "-envoy", repository(t, ".tools/envoy")}, []string{
		"packet of a live flow, IPv4", "packet of a live flow, IPv6", "a question, CPU of the process", "a question, p99",
		"a request, p99", "requests on 8 connections", "a byte there and back, p50", "bytes through an echo",
	})
	compareRemains(t, pid)
}

// TestBenchAuthor runs one round of the benchmarks of authors' verbs, with few policies.
func TestBenchAuthor(t *testing.T) {
	t.Parallel()
	bench(t, []string{"-part", "author", "-apps", "20", "-tests", "400"}, []string{
		"text parsed, on one processor", "check of 20 files, 200 policies", "check of 20 files, 200 policies, memory",
		"check again when a port in one file has changed", "compile 200 policies for 200 workloads",
		"compile again: a port", "compile again: a rule", "compile again: a path", "compile again: a prefix", "compile again: a policy",
		"compile again: a declared name", "compile again: a file", "compile again: a package", "compile again: an address",
		"compile again: a workload", "compile again: new labels",
		"flows judged, on one processor", "requests judged, on one processor", "lines of tests, policies read and judged",
	})
}

// bench runs one round, demands some rows, and returns what was the process.
func bench(t *testing.T, args, rows []string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary("bench"), append(args, "-rounds", "1", "-mpol", binary("mpol"))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bench: %v\n%s", err, out)
	}
	for _, row := range rows {
		if !strings.Contains(string(out), "\n"+row+"  ") {
			t.Errorf("the table lacks %q:\n%s", row, out)
		}
	}
	return cmd.Process.Pid
}
