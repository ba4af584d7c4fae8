// SPDX-License-Identifier: Apache-2.0

package guard

import "mpol/lang/diag"

// The codes of this package, beside guard/NAME, which is what the guardrail NAME denies.
const (
	CodeFailed    diag.Code = "guard-failed"    // a guardrail that cannot be evaluated
	CodeException diag.Code = "guard-exception" // an @allow for a guardrail that gives no reason
)

// Codes returns every code of this package whose name does not come from a guardrail.
func Codes() []diag.Code { return []diag.Code{CodeFailed, CodeException} }
