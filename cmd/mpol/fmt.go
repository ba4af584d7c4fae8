// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"mpol/internal/source"
	"mpol/lang/diag"
	canon "mpol/lang/format"
)

// stdinName is what package source names the standard input; a file's name ends in .mpol.
const stdinName = "<stdin>"

func newFmt(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "fmt PATH...",
		Short: "Write policies in their canonical form",
		Long: `Fmt rewrites .mpol files, those of folders too, in the one form of the language and prints the names
of those that it changed. Standard input (-) is written to standard output. Neither what a file means
nor a comment changes; a file with a mistake of the text is left as it is, and the mistakes are
reported as mpol check reports them.`,
		Args: paths,
	}
	f := addFormat(c, human, asJSON, sarif, github)
	showDiff := c.Flags().BoolP("diff", "d", false, "print what would change and write nothing")
	checkOnly := c.Flags().Bool("check", false, "write nothing, print the names of files that would change and exit with 1 if there is one")
	c.RunE = func(_ *cobra.Command, args []string) error {
		files, err := source.Load(args, s.in)
		if err != nil {
			return err
		}
		changed, list, err := formatFiles(files, func(file source.File, text []byte) error {
			return emit(s.out, file, text, *showDiff, *checkOnly)
		})
		if err != nil {
			return err
		}
		if err := writeDiagnostics(s.err, *f, list, textsOf(files)); err != nil {
			return err
		}
		switch {
		case list.HasErrors():
			return outcome(exitPolicy)
		case *checkOnly && changed > 0:
			return outcome(exitFailed)
		}
		return nil
	}
	return c
}

// formatFiles formats each file and calls each for those that have a form. It returns how many of
// them differ from it, and the diagnostics of the others.
func formatFiles(files []source.File, each func(file source.File, text []byte) error) (changed int, list diag.List, err error) {
	for _, file := range files {
		text, found, err := canon.Source(file.Name, file.Text)
		if err != nil {
			return changed, nil, err
		}
		list = append(list, found...)
		if found.HasErrors() {
			continue
		}
		if !bytes.Equal(text, file.Text) {
			changed++
		}
		if err := each(file, text); err != nil {
			return changed, nil, err
		}
	}
	return changed, list, nil
}

// emit does with the canonical form of one file what the flags say.
func emit(w io.Writer, file source.File, text []byte, showDiff, checkOnly bool) error {
	same := bytes.Equal(text, file.Text)
	var err error
	switch {
	case showDiff:
		_, err = w.Write(diff.Diff(file.Name, file.Text, file.Name+" (formatted)", text))
	case checkOnly && !same:
		_, err = fmt.Fprintln(w, file.Name)
	case checkOnly:
	case file.Name == stdinName:
		_, err = w.Write(text)
	case !same:
		if err := replace(file.Name, text); err != nil {
			return fmt.Errorf("format %s: %w", file.Name, err)
		}
		_, err = fmt.Fprintln(w, file.Name)
	}
	return err
}

// replace gives a file a new text at once: who reads it meanwhile sees the old or the new. Its mode
// and owner stay, a link stays a link, and a file that its user may not write stays as it is.
func replace(name string, text []byte) (err error) {
	name, err = filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if err := writable(name); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".mpol-fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		_ = f.Close()
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			_ = f.Close()
			return err
		}
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// writable says why a file may not be written. A folder in which one may rename does not answer that.
func writable(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
