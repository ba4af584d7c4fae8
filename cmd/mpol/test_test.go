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

// TestWatch changes a file under a watch: the tests run again, a mistake does not end it.
func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.mpol")
	write := func(text string) {
		t.Helper()
		// A rename, so that no half of a text is ever seen.
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(failing)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &lines{out: make(chan string, 100)}
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"test", "--watch", path}, nil, out, &bytes.Buffer{}) }()
	for _, step := range []struct{ text, want string }{
		{"", "1 test, 2 lines: 1 passed, 1 failed"},
		{strings.Replace(failing, "tcp/444", "tcp/443", 1), "1 test, 2 lines: 2 passed"},
		{"package", "1 file: 1 error"},
		{strings.Replace(failing, "tcp/444", "tcp/443", 1), "1 test, 2 lines: 2 passed"},
	} {
		if step.text != "" {
			write(step.text)
		}
		for {
			line := ""
			select {
			case line = <-out.out:
			case <-ctx.Done():
				t.Fatalf("no line %q came", step.want)
			}
			if line == step.want {
				break
			}
		}
	}
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d, want 0", c)
	}
}
