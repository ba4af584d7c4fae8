# No egress allow opens every port of the node to a workload.
package mpol.guardrails["host-ports"]

deny contains violation if {
	input.direction == "egress"
	input.rule.action == "allow"
	some peer in input.rule.peers.include
	peer.kind == "host"
	not input.policy.audit
	not input.rule.audit
	every_port
	violation := {
		"span": input.rule.place_span,
		"message": "egress allow of every port of the node",
		"help": "name the ports of the node that the workload needs",
	}
}

every_port if {
	some l4 in input.rule.l4
	l4.any
}

every_port if {
	some l4 in input.rule.l4
	l4.proto in {6, 17}
	l4.first <= 1
	l4.last == 65535
}
