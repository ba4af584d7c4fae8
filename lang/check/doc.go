// SPDX-License-Identifier: Apache-2.0

// Package check turns parsed files into a Module: every name resolved, every text turned into the
// value that it stands for, every mistake reported at its place.
//
// It is not the compiler: it knows no inventory and decides no flow. It reads no files and no
// clock; the day that @expires is compared with is an option.
//
//	module, diags := check.Check([]*lang.File{file}, check.Options{})
//	if module == nil {
//		return diags
//	}
//
// Who checks the same files again and again keeps a Memory.
//
// Invariants: Module is nil exactly when a file was broken or a diagnostic is an error; what
// follows only from an error is not reported; equal files give equal modules, with a
// Memory or without; nobody changes a Module.
package check
