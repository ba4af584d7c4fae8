# An exception ends some day.
package mpol.guardrails["exception-expiry"]

warn contains violation(annotation) if {
	some policy in input.module.policies
	some annotation in policy.annotations
	excepts(annotation)
	not expires(policy)
}

warn contains violation(annotation) if {
	some policy in input.module.policies
	not expires(policy)
	some direction in ["ingress", "egress"]
	some rule in policy[direction].rules
	some annotation in rule.annotations
	excepts(annotation)
	not expires(rule)
}

violation(annotation) := {
	"span": annotation.span,
	"message": sprintf("exception from %s does not expire", [annotation.values[0]]),
	"help": "write @expires(\"2027-06-30\") beside it: the day on which somebody looks at it again",
}

excepts(annotation) if {
	annotation.key == "allow"
	annotation.values[0] != "exception-expiry"
}

expires(declaration) if {
	some annotation in declaration.annotations
	annotation.key == "expires"
}
