// SPDX-License-Identifier: Apache-2.0

// Package format writes a .mpol file in its one canonical form.
//
// It is no checker: what cannot be parsed it returns as diagnostics and leaves alone, what can be
// parsed it formats, whatever it means. It reads no files.
//
//	text, diags, err := format.Source("shop.mpol", text)
//	if err == nil && !diags.HasErrors() {
//		os.Stdout.Write(text)
//	}
//
// The form depends on the tokens, on the comments and on whether each has a line of its own, and on
// single empty lines, which group things as the author likes; on nothing else. It works on tokens
// and knows of the grammar only where declarations, blocks, rules and lines begin, so that a new
// part of a rule needs no change here.
//
//   - A declaration, rule or line of a test stands on one line, its annotations on one above it.
//   - A block of one rule without comments stands on one line.
//   - What would be wider than 100 columns is broken: a definition behind its = with one item a
//     line, a part in braces with one item a line, all else where a line is full.
//   - Neighbours without an empty line between them are aligned in columns, but for what would become
//     too wide or is much wider than the others.
//   - A comment stays behind the token, or before the one, where it was.
//   - A comma before what closes a list goes, but for one behind the last of items on lines of their
//     own in braces.
//
// Invariants: the result has the tokens (but for such commas) and the comments of the text, in their
// order; formatting it again changes nothing.
package format
