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
// The tags of the tree's structs are the one grammar, and two read them. The walker reads every piece
// without a mistake. Participle, from which the EBNF of spec.md comes too, reads only those with one and
// says what is wanted where. A test holds that both take the same pieces and make the same trees of them.
//
// The reason is where the time of participle goes: for each optional part and each alternative that it
// tries it copies its context, 250 bytes, which are 31 copies for a rule as short as
//
//	r1: allow from v on tcp/1
//
// and it reads from a list of tokens of its own, a second copy of them all. A file of a million such rules
// (40 MB, 8 million tokens) took it 17 s on one processor and 2.6 GB, 2.3 MB/s; the walker, which tries an
// alternative by going on at an index and allocates nothing before a struct has matched, brings the
// whole of Parse to 3.0 s and 1.2 GB, 13 MB/s: 0.9 s scanning, 1.1 s the walker, 0.5 s splitting and the
// checks before each piece, 0.4 s allocating tokens and collecting garbage. Half of the memory is the tokens, 64 bytes
// each; nodes share them.
//
// Invariants: Parse never panics and never fails, it returns what could be read; a File whose
// Broken is set got at least one error; every node knows its tokens and so its span; every comment
// is kept.
package lang
