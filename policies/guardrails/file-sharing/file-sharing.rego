# No ingress allow opens file sharing to the public space of a family.
package mpol.guardrails["file-sharing"]

deny contains violation if {
	open
	input.direction == "ingress"
	input.rule.action == "allow"
	not audits
	some _ in named
	ports := [port.text | some port in listed; port in named]
	violation := {
		"span": input.rule.l4_span,
		"message": sprintf("ingress allow of the whole public space on %s", [concat(", ", ports)]),
		"help": "name the workloads or prefixes that share these files",
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

# A range contains the port. What is every port is for open-ingress to say.
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
	{"proto": 17, "number": 69, "text": "udp/69 (TFTP)"},
	{"proto": 6, "number": 111, "text": "tcp/111 (rpcbind)"},
	{"proto": 17, "number": 111, "text": "udp/111 (rpcbind)"},
	{"proto": 6, "number": 135, "text": "tcp/135 (Windows RPC)"},
	{"proto": 17, "number": 137, "text": "udp/137 (NetBIOS)"},
	{"proto": 17, "number": 138, "text": "udp/138 (NetBIOS)"},
	{"proto": 6, "number": 139, "text": "tcp/139 (NetBIOS)"},
	{"proto": 6, "number": 445, "text": "tcp/445 (SMB)"},
	{"proto": 6, "number": 873, "text": "tcp/873 (rsync)"},
	{"proto": 6, "number": 2049, "text": "tcp/2049 (NFS)"},
	{"proto": 17, "number": 2049, "text": "udp/2049 (NFS)"},
	{"proto": 6, "number": 3260, "text": "tcp/3260 (iSCSI)"},
]
