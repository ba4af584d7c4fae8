// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binFolder is the variable that holds the folder of the binaries under test.
const binFolder = "MPOL_E2E_BIN"

// TestMain builds what is under test. As a client it only tries what its arguments say.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == clientVerb {
		fmt.Println(attempt(os.Args[2:]))
		return
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	folder, err := os.MkdirTemp("", "mpol-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil { // one test runs mpol without root
		return 0, err
	}
	for _, name := range []string{"mpol/cmd/mpol", "mpol/e2e/demo", "mpol/e2e/bench"} {
		build := exec.Command("go", "build", "-o", folder, name)
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	if err := os.Setenv(binFolder, folder); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// binary is the path of a program that TestMain built.
func binary(name string) string { return filepath.Join(os.Getenv(binFolder), name) }

// repository is an absolute path in the source tree.
func repository(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
