# No egress allow sends clear text to any server of the public space.
package mpol.guardrails["plaintext-egress"]

warn contains violation if {
	open
	input.direction == "egress"
	input.rule.action == "allow"
	not audits
	some _ in named
	ports := [port.text | some port in listed; port in named]
	violation := {
		"span": input.rule.l4_span,
		"message": sprintf("egress allow of the whole public space in clear text on %s", [concat(", ", ports)]),
		"help": "name the servers, or use the encrypted protocol on its own port",
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
