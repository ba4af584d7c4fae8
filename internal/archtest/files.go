// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
)

const (
	maxLines     = 400
	maxTestLines = 600

	goLicence = "// SPDX-License-Identifier: Apache-2.0\n"
	cLicence  = "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
	shLicence = "# SPDX-License-Identifier: Apache-2.0\n"
)

// generated says whether a Go file is the work of a program, by the convention of "go help
// generate".
func generated(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("// Code generated ")) && bytes.HasSuffix(line, []byte(" DO NOT EDIT.")) {
			return true
		}
		if bytes.HasPrefix(line, []byte("package ")) {
			return false
		}
	}
	return false
}

// checkFile looks at one source file: its licence line, its size and, in Go, init functions.
func checkFile(name string, text []byte) []string {
	isGo := strings.HasSuffix(name, ".go")
	if isGo && generated(text) {
		return nil
	}
	var complaints []string
	complain := func(format string, args ...any) {
		complaints = append(complaints, name+": "+fmt.Sprintf(format, args...))
	}
	limit := maxLines
	if strings.HasSuffix(name, "_test.go") {
		limit = maxTestLines
	}
	isC := slices.Contains([]string{".c", ".h"}, path.Ext(name))
	if lines := bytes.Count(text, []byte("\n")); lines > limit && (isGo || isC) {
		complain("%d lines, more than %d; split it by noun", lines, limit)
	}
	switch {
	case isGo:
		if !bytes.HasPrefix(text, []byte(goLicence+"\n")) {
			complain("the first line is not %q with an empty line after it", strings.TrimSpace(goLicence))
		}
		complaints = append(complaints, checkInit(name, text)...)
	case isC:
		if first, _, _ := bytes.Cut(text, []byte("\n")); !bytes.Contains(first, []byte(cLicence)) {
			complain("the first line does not say %q", cLicence)
		}
	case bytes.HasPrefix(text, []byte("#!")):
		if _, rest, _ := bytes.Cut(text, []byte("\n")); !bytes.HasPrefix(rest, []byte(shLicence)) {
			complain("the second line is not %q", strings.TrimSpace(shLicence))
		}
	}
	return complaints
}

// checkInit finds functions that run without being called.
func checkInit(name string, text []byte) []string {
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	var complaints []string
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			complaints = append(complaints, name+": has an init function; make it a function that somebody calls")
		}
	}
	return complaints
}

// checkPackage looks at a package's name and comment.
func checkPackage(p pkg) []string {
	path, _ := short(p.ImportPath)
	var complaints []string
	if slices.Contains(badNames, p.Name) {
		complaints = append(complaints, fmt.Sprintf("%s: the name %s says nothing; take a noun of the domain", path, p.Name))
	}
	if len(p.GoFiles) == 0 {
		return complaints // it has tests alone
	}
	want := "Package " + p.Name + " "
	if p.Name == "main" {
		want = "Command "
	}
	if !strings.HasPrefix(p.Doc, want) {
		complaints = append(complaints, fmt.Sprintf("%s: its comment does not begin with %q", path, want))
	}
	return complaints
}
