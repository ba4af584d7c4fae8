# No egress allow sends mail to any server of the public space.
package mpol.guardrails["mail-egress"]

warn contains violation if {
	some policy in input.module.policies
	some rule in policy.egress.rules
	rule.action == "allow"
	open(rule)
	not audits(policy, rule)
	ports := [port.text |
		some port in listed
		named(port, rule.l4)
	]
	count(ports) > 0
	violation := {
		"span": rule.l4_span,
		"message": sprintf("egress allow of the whole public space on %s", [concat(", ", ports)]),
		"help": "name the relay that takes your mail",
	}
}

open(rule) if rule.whole_ipv4

open(rule) if rule.whole_ipv6

# An audit rule opens nothing.
audits(policy, _) if policy.audit

audits(_, rule) if rule.audit

# A range contains the port. What is every port is for open-egress to say.
named(port, l4s) if {
	some l4 in l4s
	not l4.any
	l4.proto == port.proto
	l4.first <= port.number
	port.number <= l4.last
	l4.last - l4.first < 65534
}

listed := [
	{"proto": 6, "number": 25, "text": "tcp/25 (SMTP)"},
	{"proto": 6, "number": 465, "text": "tcp/465 (SMTP over TLS)"},
	{"proto": 6, "number": 587, "text": "tcp/587 (mail submission)"},
]
