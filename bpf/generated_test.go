// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The committed object is made of the committed sources; see gen.go.
func TestGenerated(t *testing.T) {
	var names []string
	for _, pattern := range []string{"gen.go", "*.c", "*.h", "datapath_bpfel.go", "datapath_bpfel.o"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(found)
		names = append(names, found...)
	}
	var got bytes.Buffer
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%x  %s\n", sha256.Sum256(content), name)
	}
	want, err := os.ReadFile("generated.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("a source changed after the object was made: run make generate\n%s", got.String())
	}
}
