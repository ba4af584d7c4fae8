# Every policy names the team that answers for it.
package mpol.guardrails.owner

deny contains violation if {
	not owned
	violation := {
		"span": input.policy.name_span,
		"message": sprintf("policy %s has no owner", [input.policy.name]),
		"help": "write @owner(\"team\") on the line before the policy",
	}
}

owned if {
	some annotation in input.policy.annotations
	annotation.key == "owner"
	some value in annotation.values
	trim_space(value) != ""
}
