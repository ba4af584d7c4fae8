# No ingress allow opens file sharing to the public space of a family.
package mpol.guardrails["file-sharing"]

deny contains violation if {
	some policy in input.module.policies
	some rule in policy.ingress.rules
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
		"message": sprintf("ingress allow of the whole public space on %s", [concat(", ", ports)]),
		"help": "name the workloads or prefixes that share these files",
	}
}

open(rule) if rule.whole_ipv4

open(rule) if rule.whole_ipv6

# An audit rule opens nothing.
audits(policy, _) if policy.audit

audits(_, rule) if rule.audit

# A range contains the port. What is every port is for open-ingress to say.
named(port, l4s) if {
	some l4 in l4s
	not l4.any
	l4.proto == port.proto
	l4.first <= port.number
	port.number <= l4.last
	l4.last - l4.first < 65534
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
