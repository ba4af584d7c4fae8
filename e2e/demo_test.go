// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mpol/e2e/lab"
)

// demo makes the demonstration ready to start as a process of its own.
func demo(t *testing.T) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	lab.Test(t) // says what this machine lacks
	out := new(bytes.Buffer)
	cmd := exec.CommandContext(t.Context(), binary("demo"),
		"-mpol", binary("mpol"), "-envoy", repository(t, ".tools/envoy"), "-policies", repository(t, "policies/examples/shop"))
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// TestDemo runs the whole demonstration. README.md shows what it prints.
func TestDemo(t *testing.T) {
	t.Parallel()
	cmd, out := demo(t)
	if err := cmd.Run(); err != nil {
		t.Errorf("demo: %v\n%s", err, out)
	}
	readme, err := os.ReadFile(repository(t, "README.md"))
	check(t, err)
	if !strings.Contains(string(readme), "```text\n"+out.String()+"```\n") {
		t.Errorf("README.md does not show the table as it prints; paste this:\n%s", out)
	}
	compareRemains(t, cmd.Process.Pid)
}

// TestDemo_interrupted interrupts the demonstration while its agent judges.
func TestDemo_interrupted(t *testing.T) {
	t.Parallel()
	cmd, out := demo(t)
	check(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := lab.Wait(30*time.Second, "the demonstration's first events", func() error {
		found, err := filepath.Glob(fmt.Sprintf("/run/mpol-lab/%d-*/state/events.jsonl", cmd.Process.Pid))
		if err != nil || len(found) == 0 {
			return errors.Join(err, errors.New("no file of events"))
		}
		text, err := os.ReadFile(found[0])
		if err == nil && bytes.Count(text, []byte("\n")) < 10 {
			err = fmt.Errorf("only %s", text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	check(t, cmd.Process.Signal(syscall.SIGINT))
	select {
	case err = <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("the demonstration goes on 20 s after SIGINT; it says:\n%s", out)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the end after SIGINT: %v, want exit code 1\n%s", err, out)
	}
	compareRemains(t, cmd.Process.Pid)
}

// compareRemains fails the test when a lab of a process left something. Everything of a lab bears
// its id, and its processes live in its cgroup.
func compareRemains(t *testing.T, pid int) {
	t.Helper()
	for _, place := range []string{"/run/netns", "/run/mpol-lab", "/sys/fs/bpf", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		for _, name := range []string{"mpol-lab-%d-*", "%d-*"} {
			left, err := filepath.Glob(filepath.Join(place, fmt.Sprintf(name, pid)))
			check(t, err)
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	}
}
