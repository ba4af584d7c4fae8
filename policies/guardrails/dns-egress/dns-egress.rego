# No egress allow reaches name servers all over the public space.
package mpol.guardrails["dns-egress"]

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
		"help": "name the resolvers; a name in a policy brings the questions to them with it",
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
	{"proto": 6, "number": 53, "text": "tcp/53 (DNS)"},
	{"proto": 17, "number": 53, "text": "udp/53 (DNS)"},
	{"proto": 6, "number": 853, "text": "tcp/853 (DNS over TLS)"},
	{"proto": 17, "number": 853, "text": "udp/853 (DNS over QUIC)"},
]
