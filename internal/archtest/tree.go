// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goTool runs the go command in dir and returns its output.
func goTool(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// root is the folder of the module.
func root() (string, error) {
	file, err := goTool(".", "env", "GOMOD")
	return filepath.Dir(string(bytes.TrimSpace(file))), err
}

// list describes packages, as "go list -json" with these arguments does. A package with errors is
// described as far as it can be, so that one does not hide the others.
func list(dir string, args ...string) ([]pkg, error) {
	fields := "-json=ImportPath,Name,Dir,Doc,Export,GoFiles,Imports,Standard"
	out, err := goTool(dir, append([]string{"list", "-e", fields}, args...)...)
	if err != nil {
		return nil, err
	}
	var packages []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// sources visits the files of the module that people write. Hidden folders but .ci are tools and
// version control, testdata is data, bin is the build's.
func sources(dir string, visit func(name string, text []byte)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			hidden := strings.HasPrefix(entry.Name(), ".") && name != "." && name != ".ci"
			if hidden || name == "bin" || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(name), text)
		return nil
	})
}
