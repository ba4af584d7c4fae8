// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// TestReadme runs what README.md shows. A fenced block "LANGUAGE NAME" is a file of that name;
// in a block "console" each line that begins with "$ " is run by the shell in a folder with these
// files and the repository's policies, and what follows is what it prints, to stdout and stderr alike.
func TestReadme(t *testing.T) {
	path := filepath.Join(root, "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := splitFences(string(text))
	bin, folder := build(t), t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "policies"), os.DirFS(filepath.Join(root, "policies"))); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for i, p := range parts {
		lang, name, _ := strings.Cut(p.info, " ")
		switch {
		case name != "":
			if err := os.WriteFile(filepath.Join(folder, name), []byte(p.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case lang == "console":
			got := replay(t, bin, folder, p.text)
			if diff := cmp.Diff(p.text, got); diff != "" && !*update {
				t.Errorf("README.md shows (-), the commands print (+); -update rewrites it:\n%s", diff)
			}
			parts[i].text = got
			ran++
		}
	}
	if ran == 0 {
		t.Error("README.md has no console block")
	}
	if *update {
		if err := os.WriteFile(path, []byte(joinFences(parts)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// build makes the command as users get it and returns its folder.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	c := exec.Command("go", "build", "-o", filepath.Join(bin, "mpol"), ".")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build mpol: %v\n%s", err, out)
	}
	return bin
}

// replay runs the commands of a console block and returns the block as it ought to be.
func replay(t *testing.T, bin, folder, block string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(block) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		c := exec.CommandContext(t.Context(), "sh", "-c", command)
		c.Dir = folder
		c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Fatalf("run %q: %v", command, err)
		}
		fmt.Fprintf(&b, "%s%s", line, out)
	}
	return b.String()
}

// part is a fenced block with its info string, or the text between two (info is empty).
type part struct {
	fenced bool
	info   string
	text   string
}

func splitFences(text string) []part {
	parts := []part{{}}
	for line := range strings.Lines(text) {
		last := &parts[len(parts)-1]
		switch info, fence := strings.CutPrefix(line, "```"); {
		case fence && last.fenced:
			parts = append(parts, part{})
		case fence:
			parts = append(parts, part{fenced: true, info: strings.TrimSpace(info)})
		default:
			last.text += line
		}
	}
	return parts
}

func joinFences(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.fenced {
			fmt.Fprintf(&b, "```%s\n%s```\n", p.info, p.text)
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// TestFences reads and writes README's blocks without loss.
func TestFences(t *testing.T) {
	const text = "a\n```mpol x.mpol\npackage x\n```\nb\n\n```console\n$ true\n```\n"
	parts := splitFences(text)
	want := []part{
		{text: "a\n"},
		{true, "mpol x.mpol", "package x\n"},
		{text: "b\n\n"},
		{true, "console", "$ true\n"},
		{},
	}
	if diff := cmp.Diff(want, parts, cmp.AllowUnexported(part{})); diff != "" {
		t.Errorf("splitFences (-want +got):\n%s", diff)
	}
	if got := joinFences(parts); got != text {
		t.Errorf("joinFences = %q, want %q", got, text)
	}
}
