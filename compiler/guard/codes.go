// SPDX-License-Identifier: Apache-2.0

package guard

import "mpol/lang/diag"

// codeHead begins the code of what the guardrail says whose name follows.
const codeHead = "guard/"

// The codes of this package, beside guard/NAME, which is what the guardrail NAME says.
const (
	CodeFailed    diag.Code = "guard-failed"      // a guardrail that cannot be evaluated
	CodeException diag.Code = "guard-exception"   // an @allow for a guardrail that gives no reason
	CodeUnknown   diag.Code = "unknown-guardrail" // an @allow for a guardrail that does not run

	CodeTestFailed diag.Code = "guard-test-failed" // a Rego test that does not hold or that lacks
	CodeUncovered  diag.Code = "guard-uncovered"   // lines of a guardrail that no Rego test reaches
)

// Codes returns every code of this package whose name does not come from a guardrail.
func Codes() []diag.Code {
	return []diag.Code{CodeFailed, CodeException, CodeUnknown, CodeTestFailed, CodeUncovered}
}
