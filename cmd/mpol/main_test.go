// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites the expected output in testdata and README.md.
var update = flag.Bool("update", false, "rewrite expected output in testdata/*.txtar and README.md")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mpol": main})
}

// TestVerbs runs the scripts of testdata: the command as a user meets it. $POLICIES is the folder
// of the repository's policies.
func TestVerbs(t *testing.T) {
	policies, err := filepath.Abs(filepath.Join(root, "policies"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Setup: func(e *testscript.Env) error {
			e.Setenv("POLICIES", policies)
			return nil
		},
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and demands an exit code: exits 2 mpol check bad.mpol. Its output is then
// that of the script's stdout and stderr commands.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		code = strconv.Itoa(ended.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("%v: exit code %s, want %s\n%s", args[1:], code, args[0], ts.ReadFile("stderr"))
	}
}
