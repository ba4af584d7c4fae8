# No policy gives every workload the public space.
package mpol.guardrails["workloads-internet"]

deny contains violation if {
	some policy in input.module.policies
	policy.subject.all
	not policy.audit
	some rule in policy.egress.rules
	rule.action == "allow"
	open(rule)
	not rule.audit
	violation := {
		"span": rule.peers_span,
		"message": "every workload may reach the whole public space",
		"help": "grant it to the workloads that need it, or name what all of them need",
	}
}

open(rule) if rule.whole_ipv4

open(rule) if rule.whole_ipv6
