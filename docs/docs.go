// SPDX-License-Identifier: Apache-2.0

// Package docs holds what users read at the terminal: a page for each code of a diagnostic.
//
// The package is data. What a page says is proven by the tests of the command, which run its
// examples; the pages of guardrails stand with the guardrails.
//
//	page, err := fs.ReadFile(docs.Codes(), "bad-l4.md")
//
// Invariants: a page is CODE.md, its title is the code, its first paragraph says in one line what the
// mistake is; a section Wrong gives that code and no other, a section Right none.
package docs

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed codes/*.md
var files embed.FS

// Codes returns the pages of the codes, one file CODE.md each.
func Codes() fs.FS {
	sub, err := fs.Sub(files, "codes")
	if err != nil {
		panic(fmt.Sprintf("open embedded pages: %v", err)) // only an invalid path makes Sub fail
	}
	return sub
}
