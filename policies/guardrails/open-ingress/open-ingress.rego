# No ingress allow opens everything to everyone.
package mpol.guardrails["open-ingress"]

deny contains violation if {
	open
	input.direction == "ingress"
	input.rule.action == "allow"
	not audits
	every_port
	violation := {
		"span": input.rule.place_span,
		"message": "ingress allow from everywhere on every port",
		"help": "name the ports that the workload serves, or who may reach it",
	}
}

open if input.rule.whole_ipv4

open if input.rule.whole_ipv6

# An audit rule opens nothing.
audits if input.policy.audit

audits if input.rule.audit

every_port if {
	some l4 in input.rule.l4
	l4.any
}

# Every port of TCP, UDP or SCTP, in one range or by the union of several.
every_port if {
	some l4 in input.rule.l4
	l4.first <= 1
	some proto in {6, 17, 132}
	ranges := sort([[l4.first, l4.last] | some l4 in input.rule.l4; l4.proto == proto])
	lasts := array.concat([0], [range[1] | some range in ranges])
	max(lasts) == 65535

	# No port is missing before a range.
	every i, range in ranges {
		range[0] <= max(array.slice(lasts, 0, i + 1)) + 1
	}
}
