// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"mpol/e2e/lab"
)

// TestBench runs one round of the benchmarks: each figure is there, whatever it is.
func TestBench(t *testing.T) {
	t.Parallel()
	lab.Test(t) // says what this machine lacks
	cmd := exec.CommandContext(t.Context(), binary("bench"),
		"-mpol", binary("mpol"), "-envoy", repository(t, ".tools/envoy"), "-rounds", "1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bench: %v\n%s", err, out)
	}
	for _, row := range []string{
		"packet of a live flow, IPv4", "packet of a live flow, IPv6", "a question, CPU of the process", "a question, p99",
		"a request, p99", "requests on 8 connections", "a byte there and back, p50", "bytes through an echo",
	} {
		if !strings.Contains(string(out), "\n"+row+"  ") {
			t.Errorf("the table lacks %q:\n%s", row, out)
		}
	}
	compareRemains(t, cmd.Process.Pid)
}
