// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// sumsName is the file beside generated code that tells what it was generated from. Its lines
// are those of sha256sum, "HEX  NAME", for every source and every product; the last line for
// "go generate" writes it: sha256sum generate.go *.c *.h *.o *_bpfel.go > generated.sha256
const sumsName = "generated.sha256"

// summed says whether a file is a source or a product of generation. The Go file with the lines
// for "go generate" is a source: it holds the compiler's flags.
func summed(name string, text []byte) bool {
	switch path.Ext(name) {
	case ".c", ".h", ".o":
		return true
	case ".go":
		product := strings.HasSuffix(name, "_bpfel.go") || strings.HasSuffix(name, "_bpfeb.go")
		return product || bytes.Contains(text, []byte("\n//go:generate "))
	}
	return false
}

// checkGenerated compares the files of a folder with its sums.
func checkGenerated(folder fs.FS) ([]string, error) {
	sums, err := fs.ReadFile(folder, sumsName)
	if err != nil {
		return nil, err
	}
	want := make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(sums)); lines.Scan(); {
		sum, name, found := strings.Cut(lines.Text(), "  ")
		if !found {
			return nil, fmt.Errorf("%s: line %q is not a sum and a name", sumsName, lines.Text())
		}
		want[name] = sum
	}
	var complaints []string
	err = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil || !summed(name, text) {
			return err
		}
		sum := sha256.Sum256(text)
		switch want[name] {
		case hex.EncodeToString(sum[:]):
		case "":
			complaints = append(complaints, name+": not in "+sumsName)
		default:
			complaints = append(complaints, name+": differs from "+sumsName)
		}
		delete(want, name)
		return nil
	})
	for name := range want {
		complaints = append(complaints, name+": in "+sumsName+" but not here")
	}
	slices.Sort(complaints)
	return complaints, err
}
