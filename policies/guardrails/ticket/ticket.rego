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
	not input.rule
	some annotation in input.policy.annotations
	annotation.key == "ticket"
}

tickets contains annotation if {
	some annotation in input.rule.annotations
	annotation.key == "ticket"
}

blank(annotation) if {
	every value in annotation.values {
		trim_space(value) == ""
	}
}

# PROJECT-1, or a web address.
findable(value) if regex.match(`^([A-Z][A-Z0-9_]*-[0-9]+|https?://[^\s]+)$`, value)
