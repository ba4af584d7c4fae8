# No egress allow reaches name servers all over the public space.
package mpol.guardrails["dns-egress"]

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
		"help": "name the resolvers; a name in a policy brings the questions to them with it",
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
	{"proto": 6, "number": 53, "text": "tcp/53 (DNS)"},
	{"proto": 17, "number": 53, "text": "udp/53 (DNS)"},
	{"proto": 6, "number": 853, "text": "tcp/853 (DNS over TLS)"},
	{"proto": 17, "number": 853, "text": "udp/853 (DNS over QUIC)"},
]
