# No egress allow opens every port of the node to a workload.
package mpol.guardrails["host-ports"]

deny contains violation if {
	some policy in input.module.policies
	not policy.audit
	some rule in policy.egress.rules
	rule.action == "allow"
	some peer in rule.peers.include
	peer.kind == "host"
	not rule.audit
	every_port(rule.l4)
	violation := {
		"span": rule.place_span,
		"message": "egress allow of every port of the node",
		"help": "name the ports of the node that the workload needs",
	}
}

every_port(l4s) if {
	some l4 in l4s
	l4.any
}

every_port(l4s) if {
	some l4 in l4s
	l4.proto in {6, 17}
	l4.first <= 1
	l4.last == 65535
}
