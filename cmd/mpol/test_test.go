// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const failing = `package p
default deny
workload web = app = "web"
@owner("team-web")
policy web for web {
  ingress { pages: allow from world on tcp/443 }
  egress none
}
test "t" {
  given w = { app = "web" }
  allow 203.0.113.1 -> w on tcp/443
  allow 203.0.113.1 -> w on tcp/444
}
`

// TestJSONLines holds the lines of -o json against their schema.
func TestJSONLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.mpol")
	if err := os.WriteFile(path, []byte(failing), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"test", "-o", "json", path}, nil, &out, &errs); code != exitFailed {
		t.Fatalf("exit code %d\n%s", code, errs.String())
	}
	n := 0
	for line := range strings.Lines(out.String()) {
		var document any
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Fatal(err)
		}
		if !fits(t, "test", document) {
			t.Errorf("%s does not fit its schema", line)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
}

// lines hands what is written on, a line at a time.
type lines struct {
	rest []byte
	out  chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.out <- string(line)
		l.rest = rest
	}
}

// quiet is a guardrail that warns when false is true in it.
const quiet = `package mpol.guardrails.quiet

warn contains {"span": input.policy.span, "message": "not so loud", "help": "whisper"} if {
	input.policy
	false
}
`

// TestWatch changes files under a watch: the tests run again, a mistake does not end it.
func TestWatch(t *testing.T) {
	folder := t.TempDir()
	path, inventory := filepath.Join(folder, "p.mpol"), filepath.Join(folder, "world.yaml")
	write := func(path, text string) {
		t.Helper()
		// A rename, so that no half of a text is ever seen.
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(inventory, "workloads: [{name: w, labels: {app: web}, addresses: [10.0.0.1]}]")
	rail := filepath.Join(folder, "rails", "quiet", "quiet.rego")
	if err := os.MkdirAll(filepath.Dir(rail), 0o700); err != nil {
		t.Fatal(err)
	}
	write(rail, quiet)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &lines{out: make(chan string, 100)}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"test", "--watch", "--inventory", inventory, "--guardrails", filepath.Join(folder, "rails"), path}, nil, out, &bytes.Buffer{})
	}()
	right := strings.Replace(failing, "tcp/444", "tcp/443", 1)
	for _, step := range []struct{ path, text, want string }{
		{path, failing, "1 test, 2 lines: 1 passed, 1 failed"},
		{path, right, "1 test, 2 lines: 2 passed"},
		{path, "package", "1 file: 1 error"},
		{path, right, "1 test, 2 lines: 2 passed"},
		{inventory, "workloads: [{name: w, addresses: [10.0.0.1]}]", "nobody in the inventory is workload `web`"},
		{rail, strings.Replace(quiet, "false", "true", 1), "warning[guard/quiet]: not so loud"},
	} {
		write(step.path, step.text)
		for {
			line := ""
			select {
			case line = <-out.out:
			case <-ctx.Done():
				t.Fatalf("no line %q came", step.want)
			}
			if strings.HasSuffix(line, step.want) {
				break
			}
		}
	}
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d, want 0", c)
	}
}
