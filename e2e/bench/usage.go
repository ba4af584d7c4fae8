// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// command runs a process and returns its time and CPU time in ms and its greatest memory in MB. It does
// so through a process between, the verb "usage": Linux counts the memory of whoever starts a process
// as the new one's, and that of the benchmark is large.
func command(ctx context.Context, name string, args ...string) ([]float64, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"usage", name}, args...)...)
	var said *exec.ExitError
	out, err := cmd.Output()
	if errors.As(err, &said) {
		return nil, fmt.Errorf("%s: %s", filepath.Base(name), said.Stderr)
	}
	if err != nil {
		return nil, err
	}
	var used []float64
	if err := json.Unmarshal(out, &used); err != nil {
		return nil, fmt.Errorf("what %s used: %w", filepath.Base(name), err)
	}
	return used, nil
}

// runUsage is the verb "usage": it runs a command and writes what command returns.
func runUsage(ctx context.Context, w io.Writer, name string, args []string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	s := cmd.ProcessState
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("the system does not say what a process used")
	}
	return json.NewEncoder(w).Encode([]float64{ms(time.Since(start)), ms(s.UserTime() + s.SystemTime()), float64(usage.Maxrss) / 1e3})
}
