// SPDX-License-Identifier: Apache-2.0

// Package lang turns the text of a .mpol file into a tree.
//
// It is not the checker: names are not resolved, addresses and patterns stay text, and a tree may
// be one that package check refuses. It reads no files.
//
//	file, diags := lang.Parse("shop.mpol", text)
//	if !diags.HasErrors() {
//		for _, d := range file.Decls {
//			fmt.Println(d.Common().Span())
//		}
//	}
//
// The text is scanned by hand, because the order in which tokens are tried matters, and split at
// declarations, blocks and rules before the grammar (participle, one production a struct, LL(1))
// sees a piece: the grammar stops at its first mistake, so one bad rule costs that rule alone.
//
// Invariants: Parse never panics and never fails, it returns what could be read; a File whose
// Broken is set got at least one error; every node knows its tokens and so its span; every comment
// is kept.
package lang
