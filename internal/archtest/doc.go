// SPDX-License-Identifier: Apache-2.0

// Package archtest keeps the architecture true: who may import whom, which half of the Program a
// package may read, what every file and package must look like, and that generated code belongs
// to its sources. Its test runs these checks over the whole module.
//
// It is no linter for taste: each check stands for a sentence of ARCHITECTURE.md or
// CONTRIBUTING.md. The import table is in table.go; change it in the commit that needs the
// change, and say why.
//
//	for _, complaint := range checkImports(packages, table) {
//		t.Error(complaint)
//	}
//
// Invariants: a check returns complaints and never panics on odd input; a package that the table
// does not know is a complaint; tests of a package may import what they like.
package archtest
