# No egress allow sends clear text to any server of the public space.
package mpol.guardrails["plaintext-egress"]

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
		"message": sprintf("egress allow of the whole public space in clear text on %s", [concat(", ", ports)]),
		"help": "name the servers, or use the encrypted protocol on its own port",
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
	{"proto": 6, "number": 21, "text": "tcp/21 (FTP)"},
	{"proto": 17, "number": 69, "text": "udp/69 (TFTP)"},
	{"proto": 6, "number": 80, "text": "tcp/80 (HTTP)"},
	{"proto": 6, "number": 110, "text": "tcp/110 (POP3)"},
	{"proto": 6, "number": 143, "text": "tcp/143 (IMAP)"},
	{"proto": 17, "number": 161, "text": "udp/161 (SNMP)"},
	{"proto": 6, "number": 389, "text": "tcp/389 (LDAP)"},
	{"proto": 17, "number": 514, "text": "udp/514 (syslog)"},
	{"proto": 6, "number": 1883, "text": "tcp/1883 (MQTT)"},
]
