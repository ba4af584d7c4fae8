// SPDX-License-Identifier: Apache-2.0

package lang

import _ "embed"

//go:embed spec.md
var spec string

// Spec returns the normative text of the language, spec.md.
func Spec() string { return spec }
