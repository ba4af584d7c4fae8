# Every policy names the team that answers for it.
package mpol.guardrails.owner

deny contains violation if {
	some policy in input.module.policies
	not owned(policy)
	violation := {
		"span": policy.name_span,
		"message": sprintf("policy %s has no owner", [policy.name]),
		"help": "write @owner(\"team\") on the line before the policy",
	}
}

owned(policy) if {
	some annotation in policy.annotations
	annotation.key == "owner"
	some value in annotation.values
	trim_space(value) != ""
}
