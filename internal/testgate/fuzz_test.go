// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fuzzModule returns the folder of a module with scripts/fuzz and one target, whose body is given.
func fuzzModule(t *testing.T, body string) string {
	t.Helper()
	script, err := os.ReadFile("../../scripts/fuzz")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{
		"scripts/fuzz": string(script),
		"go.mod":       "module fuzzed\n\ngo 1.24\n",
		"p/p_test.go": "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Args\n\nfunc FuzzAny(f *testing.F) {\n\tf.Add(\"a\")\n" +
			"\tf.Fuzz(func(t *testing.T, text string) {\n" + body + "\n\t})\n}\n",
	})
	return dir
}

// writeAll writes files that may be run into dir, by their path in it.
func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// fuzzScript returns the command that runs scripts/fuzz of a module, with a folder for scratch files.
func fuzzScript(t *testing.T, dir, each string) (cmd *exec.Cmd, scratch string) {
	t.Helper()
	scratch = t.TempDir()
	cmd = exec.Command(filepath.Join(dir, "scripts/fuzz"), each)
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	return cmd, scratch
}

func empty(t *testing.T, scratch string) {
	t.Helper()
	left, err := os.ReadDir(scratch)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFuzz(t *testing.T) {
	t.Run("nothing found", func(t *testing.T) {
		cmd, scratch := fuzzScript(t, fuzzModule(t, ""), "10x")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "FuzzAny") {
			t.Errorf("fuzz = %v, want success:\n%s", err, out)
		}
		empty(t, scratch)
	})
	t.Run("a finding", func(t *testing.T) {
		dir := fuzzModule(t, "\t\tif len(text) > 1 {\n\t\t\tt.Fatal(\"too long\")\n\t\t}")
		cmd, scratch := fuzzScript(t, dir, "100000x")
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("fuzz succeeds:\n%s", out)
		}
		empty(t, scratch)
		_, command, ok := strings.Cut(string(out), "run it again: ")
		if !ok || !strings.Contains(string(out), "too long") || !strings.Contains(string(out), "go test fuzz v1") {
			t.Fatalf("the output does not say what was found and how to see it again:\n%s", out)
		}
		command, _, _ = strings.Cut(command, "\n")
		again := exec.Command("sh", "-c", command)
		again.Dir = dir
		if out, err := again.CombinedOutput(); err == nil || !strings.Contains(string(out), "too long") {
			t.Errorf("%s = %v:\n%s", command, err, out)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		// Each worker holds a pipe open as long as it lives.
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, scratch := fuzzScript(t, fuzzModule(t, fmt.Sprintf("\t\tif text == \"a\" {\n\t\t\tos.OpenFile(%q, os.O_WRONLY, 0)\n\t\t\tselect {}\n\t\t}", pipe)), "10m")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		workers, err := os.Open(pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer workers.Close()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 143 {
			t.Errorf("fuzz = %v, want exit code 143", err)
		}
		if _, err := io.ReadAll(workers); err != nil {
			t.Error(err)
		}
		empty(t, scratch)
	})
}

// TestFuzzOutOfTime holds how a failure that says the time was over is told from a finding. When go test
// says that is a matter of luck, so what it says is written down here.
func TestFuzzOutOfTime(t *testing.T) {
	const over = "fuzz: elapsed: 10s, execs: 9 (1/sec)\n--- FAIL: FuzzAny (10.98s)\n    context deadline exceeded\n"
	for _, tt := range []struct {
		name, said string
		fails      bool
	}{
		{"only that", over + "FAIL\nexit status 1\nFAIL\tfuzzed/p\t11.015s\n", false},
		{"and an input", over + "    Failing input written to testdata/fuzz/FuzzAny/1\nFAIL\n", true},
		{"another failure", "--- FAIL: FuzzAny (10.98s)\n    fuzzing process hung or terminated unexpectedly\nFAIL\n", true},
		{"nothing", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := fuzzModule(t, "")
			writeAll(t, dir, map[string]string{
				"p/testdata/fuzz/FuzzAny/1": "go test fuzz v1\nstring(\"a\")\n",
				"said":                      tt.said,
				"bin/go":                    "#!/bin/sh\ncat said\nexit 1\n",
			})
			cmd, scratch := fuzzScript(t, dir, "10s")
			cmd.Env = append(cmd.Env, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); (err != nil) != tt.fails {
				t.Errorf("fuzz = %v, want failure: %v\n%s", err, tt.fails, out)
			}
			empty(t, scratch)
		})
	}
}
