// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// TestReadme runs what README.md shows.
func TestReadme(t *testing.T) { showcase(t, "README.md", "policies") }

// TestCI runs what docs/ci.md shows, with an example's policies as the reader's, and the steps of its
// pipelines.
func TestCI(t *testing.T) {
	folder := showcase(t, "docs/ci.md", "policies/examples/shop")
	for _, pipeline := range []string{".github/workflows/policies.yml", ".gitlab-ci.yml"} {
		text, err := os.ReadFile(filepath.Join(folder, pipeline))
		if err != nil {
			t.Fatal(err)
		}
		steps := regexp.MustCompile(`(?m)- (?:run: )?(mpol .*)$`).FindAllStringSubmatch(string(text), -1)
		if len(steps) == 0 {
			t.Errorf("%s has no step", pipeline)
		}
		for _, s := range steps {
			if out, err := shell(t, folder, s[1]).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", pipeline, s[1], err, out)
			}
		}
	}
	for _, report := range []string{"summary.md", "report.xml", "quality.json", "policies.sarif"} {
		if info, err := os.Stat(filepath.Join(folder, report)); err != nil || info.Size() == 0 {
			t.Errorf("the pipelines leave no %s: %v", report, err)
		}
	}
}

// showcase runs what a page shows and returns the folder in which it did. A fenced block "LANGUAGE
// NAME" is a file of that name; in a block "console" each line that begins with "$ " is run by the
// shell in a folder with these files and, as "policies", the given folder of the repository; what
// follows is what it prints, to stdout and stderr alike.
func showcase(t *testing.T, page, policies string) string {
	path := filepath.Join(root, page)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts, folder := splitFences(string(text)), t.TempDir()
	t.Setenv("PATH", build(t)+":"+os.Getenv("PATH"))
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(folder, "summary.md"))
	if err := os.CopyFS(filepath.Join(folder, "policies"), os.DirFS(filepath.Join(root, policies))); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for i, p := range parts {
		lang, name, _ := strings.Cut(p.info, " ")
		switch {
		case name != "":
			file := filepath.Join(folder, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(p.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case lang == "console":
			got := replay(t, folder, p.text)
			if diff := cmp.Diff(p.text, got); diff != "" && !*update {
				t.Errorf("%s shows (-), the commands print (+); -update rewrites it:\n%s", page, diff)
			}
			parts[i].text = got
			ran++
		}
	}
	if ran == 0 {
		t.Errorf("%s has no console block", page)
	}
	if *update {
		if err := os.WriteFile(path, []byte(joinFences(parts)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
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
func replay(t *testing.T, folder, block string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(block) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		out, err := shell(t, folder, command).CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Fatalf("run %q: %v", command, err)
		}
		fmt.Fprintf(&b, "%s%s", line, out)
	}
	return b.String()
}

// shell is a command that runs in folder.
func shell(t *testing.T, folder, command string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), "sh", "-c", command)
	c.Dir = folder
	return c
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
