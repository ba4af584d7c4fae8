# No ingress allow opens everything to everyone.
package mpol.guardrails["open-ingress"]

deny contains violation if {
	some policy in input.module.policies
	some rule in policy.ingress.rules
	rule.action == "allow"
	open(rule)
	not audits(policy, rule)
	every_port(rule.l4)
	violation := {
		"span": rule.place_span,
		"message": "ingress allow from everywhere on every port",
		"help": "name the ports that the workload serves, or who may reach it",
	}
}

open(rule) if rule.whole_ipv4

open(rule) if rule.whole_ipv6

# An audit rule opens nothing.
audits(policy, _) if policy.audit

audits(_, rule) if rule.audit

every_port(l4s) if {
	some l4 in l4s
	l4.any
}

# Every port of TCP, UDP or SCTP, in one range or by the union of several.
every_port(l4s) if {
	some proto in {6, 17, 132}
	ranges := [l4 | some l4 in l4s; l4.proto == proto]
	count(ranges) > 0

	# When a port is missing, then 1 is, or one that follows the end of a range.
	candidates := {1} | {port |
		some range in ranges
		port := range.last + 1
		port <= 65535
	}
	every port in candidates {
		some range in ranges
		range.first <= port
		port <= range.last
	}
}
