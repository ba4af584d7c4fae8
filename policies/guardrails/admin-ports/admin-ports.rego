# No allow opens an administration port to, or towards, a family's whole public space.
package mpol.guardrails["admin-ports"]

deny contains violation if {
	some policy in input.module.policies
	some direction in ["ingress", "egress"]
	some rule in policy[direction].rules
	rule.action == "allow"
	open(rule)
	not audits(policy, rule)
	ports := [port.text |
		some port in administration
		covered(port, rule.l4)
	]
	count(ports) > 0
	violation := {
		"span": rule.l4_span,
		"message": sprintf("allow of the whole public space on %s", [listed(ports)]),
		"help": "name the peers that administer this, such as an office's cidrs, or leave the port out",
	}
}

listed(ports) := concat(", ", ports) if count(ports) <= 4

listed(ports) := text if {
	count(ports) > 4
	text := sprintf("%s and %d more", [concat(", ", array.slice(ports, 0, 3)), count(ports) - 3])
}

open(rule) if rule.whole_ipv4

open(rule) if rule.whole_ipv6

# An audit rule opens nothing.
audits(policy, _) if policy.audit

audits(_, rule) if rule.audit

covered(port, l4s) if {
	some l4 in l4s
	covers(l4, port)
}

covers(l4, _) if l4.any

covers(l4, port) if {
	l4.proto == port.proto
	l4.first <= port.number
	port.number <= l4.last
}

administration := [
	{"proto": 6, "number": 22, "text": "tcp/22 (SSH)"},
	{"proto": 6, "number": 23, "text": "tcp/23 (Telnet)"},
	{"proto": 17, "number": 623, "text": "udp/623 (IPMI)"},
	{"proto": 6, "number": 2375, "text": "tcp/2375 (Docker)"},
	{"proto": 6, "number": 2376, "text": "tcp/2376 (Docker)"},
	{"proto": 6, "number": 2379, "text": "tcp/2379 (etcd)"},
	{"proto": 6, "number": 2380, "text": "tcp/2380 (etcd)"},
	{"proto": 6, "number": 3389, "text": "tcp/3389 (RDP)"},
	{"proto": 17, "number": 3389, "text": "udp/3389 (RDP)"},
	{"proto": 6, "number": 5900, "text": "tcp/5900 (VNC)"},
	{"proto": 6, "number": 5985, "text": "tcp/5985 (WinRM)"},
	{"proto": 6, "number": 5986, "text": "tcp/5986 (WinRM)"},
	{"proto": 6, "number": 6443, "text": "tcp/6443 (Kubernetes API)"},
	{"proto": 6, "number": 10250, "text": "tcp/10250 (kubelet)"},
]
