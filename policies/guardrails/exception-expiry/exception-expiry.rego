# An exception ends some day.
package mpol.guardrails["exception-expiry"]

warn contains violation(annotation) if {
	not input.rule
	some annotation in input.policy.annotations
	annotation.key == "allow"
	annotation.values[0] != "exception-expiry"
	not expires(input.policy.annotations)
}

warn contains violation(annotation) if {
	some annotation in input.rule.annotations
	annotation.key == "allow"
	annotation.values[0] != "exception-expiry"
	not expires(input.rule.annotations)
	not expires(input.policy.annotations)
}

violation(annotation) := {
	"span": annotation.span,
	"message": sprintf("exception from %s does not expire", [annotation.values[0]]),
	"help": "write @expires(\"2027-06-30\") beside it: the day on which somebody looks at it again",
}

expires(annotations) if {
	some annotation in annotations
	annotation.key == "expires"
}
