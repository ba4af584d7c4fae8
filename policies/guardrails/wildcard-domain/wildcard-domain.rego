# An allow of a name with a wildcard says on which ports.
package mpol.guardrails["wildcard-domain"]

warn contains violation if {
	input.direction == "egress"
	input.rule.action == "allow"
	some pattern in input.rule.patterns
	pattern.wild
	pattern.use == "peer"
	inexact
	violation := {
		"span": pattern.span,
		"message": sprintf("egress allow of %q on a range of ports", [pattern.pattern]),
		"help": "name the ports, such as tcp/443, or the hosts",
	}
}

inexact if {
	some l4 in input.rule.l4
	l4.any
}

inexact if {
	some l4 in input.rule.l4
	l4.proto in {6, 17, 132}
	l4.first < l4.last
}
