# A ticket can be found.
package mpol.guardrails.ticket

deny contains violation if {
	some annotation in tickets
	blank(annotation)
	violation := {
		"span": annotation.span,
		"message": "@ticket names no ticket",
		"help": "write @ticket(\"SEC-101\"), or remove it",
	}
}

warn contains violation if {
	some annotation in tickets
	not blank(annotation)
	some value in annotation.values
	not findable(value)
	violation := {
		"span": annotation.span,
		"message": sprintf("%q is no ticket's key or address", [value]),
		"help": "write @ticket(\"SEC-101\") or @ticket(\"https://...\")",
	}
}

tickets contains annotation if {
	some policy in input.module.policies
	some annotation in policy.annotations
	annotation.key == "ticket"
}

tickets contains annotation if {
	some policy in input.module.policies
	some direction in ["ingress", "egress"]
	some rule in policy[direction].rules
	some annotation in rule.annotations
	annotation.key == "ticket"
}

blank(annotation) if {
	every value in annotation.values {
		trim_space(value) == ""
	}
}

# PROJECT-1, or a web address.
findable(value) if regex.match(`^([A-Z][A-Z0-9_]*-[0-9]+|https?://[^\s]+)$`, value)
