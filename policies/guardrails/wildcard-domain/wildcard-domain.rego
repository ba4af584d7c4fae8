# An allow of a name with a wildcard says on which ports.
package mpol.guardrails["wildcard-domain"]

warn contains violation if {
	some policy in input.module.policies
	some rule in policy.egress.rules
	some pattern in rule.patterns
	pattern.wild
	pattern.use == "peer"
	rule.action == "allow"
	inexact(rule.l4)
	violation := {
		"span": pattern.span,
		"message": sprintf("egress allow of %q on a range of ports", [pattern.pattern]),
		"help": "name the ports, such as tcp/443, or the hosts",
	}
}

inexact(l4s) if {
	some l4 in l4s
	l4.any
}

inexact(l4s) if {
	some l4 in l4s
	l4.proto in {6, 17, 132}
	l4.first < l4.last
}
