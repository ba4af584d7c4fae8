# No policy gives every workload the public space.
package mpol.guardrails["workloads-internet"]

deny contains violation if {
	open
	input.direction == "egress"
	input.policy.subject.all
	input.rule.action == "allow"
	not input.policy.audit
	not input.rule.audit
	violation := {
		"span": input.rule.peers_span,
		"message": "every workload may reach the whole public space",
		"help": "grant it to the workloads that need it, or name what all of them need",
	}
}

open if input.rule.whole_ipv4

open if input.rule.whole_ipv6
