// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInterrupt ends a verb that waits for its input, as a person at a terminal does.
func TestInterrupt(t *testing.T) {
	for _, args := range [][]string{{"check", "-"}, {"fmt", "-"}, {"test", "-"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			c := exec.Command("mpol", args...)
			c.WaitDelay = 10 * time.Second
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(c.WaitDelay, func() { _ = c.Process.Kill() })
			defer stuck.Stop()
			if _, err := io.WriteString(in, strings.Repeat("#\n", 1<<19)); err != nil { // more than a pipe holds: it is read
				t.Fatal(err)
			}
			if err := c.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			var ended *exec.ExitError
			if err := c.Wait(); !errors.As(err, &ended) {
				t.Fatalf("the verb ended with %v", err)
			}
			if status := ended.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGINT {
				t.Errorf("the verb ended with %v, want by the signal", ended)
			}
		})
	}
}
