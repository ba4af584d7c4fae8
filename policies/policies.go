// SPDX-License-Identifier: Apache-2.0

// Package policies holds what users read and copy: example policies with their tests, and the
// guardrails that mpol runs over every policy. The guardrails are embedded, so that the binary
// needs no folder beside it.
//
// The package is data. It parses nothing and evaluates nothing: package guard does.
//
//	fs.ReadFile(policies.Guardrails(), "owner/owner.rego")
//
// Invariants: a guardrail is one folder NAME with NAME.rego, NAME_test.rego and README.md; beside
// them stand README.md, which lists them, and input.schema.json, which describes what they see.
package policies

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed guardrails
var files embed.FS

// Guardrails returns the built-in guardrails, one folder each.
func Guardrails() fs.FS {
	sub, err := fs.Sub(files, "guardrails")
	if err != nil {
		panic(fmt.Sprintf("open embedded guardrails: %v", err)) // only an invalid path makes Sub fail
	}
	return sub
}
