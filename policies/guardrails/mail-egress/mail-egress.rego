# No egress allow sends mail to any server of the public space.
package mpol.guardrails["mail-egress"]

warn contains violation if {
	open
	input.direction == "egress"
	input.rule.action == "allow"
	not audits
	some _ in named
	ports := [port.text | some port in listed; port in named]
	violation := {
		"span": input.rule.l4_span,
		"message": sprintf("egress allow of the whole public space on %s", [concat(", ", ports)]),
		"help": "name the relay that takes your mail",
	}
}

open if input.rule.whole_ipv4

open if input.rule.whole_ipv6

# An audit rule opens nothing.
audits if input.policy.audit

audits if input.rule.audit

named contains port if {
	some l4 in input.rule.l4
	l4.first == l4.last
	some port in listed
	port.proto == l4.proto
	port.number == l4.first
}

# A range contains the port. What is every port is for open-egress to say.
named contains port if {
	some l4 in input.rule.l4
	l4.first < l4.last
	l4.last - l4.first < 65534
	some port in listed
	port.proto == l4.proto
	l4.first <= port.number
	port.number <= l4.last
}

listed := [
	{"proto": 6, "number": 25, "text": "tcp/25 (SMTP)"},
	{"proto": 6, "number": 465, "text": "tcp/465 (SMTP over TLS)"},
	{"proto": 6, "number": 587, "text": "tcp/587 (mail submission)"},
]
