# No allow opens an administration port to, or towards, a family's whole public space.
package mpol.guardrails["admin-ports"]

deny contains violation if {
	open
	input.rule.action == "allow"
	not audits
	some _ in named
	ports := [port.text | some port in known; port in named]
	violation := {
		"span": input.rule.l4_span,
		"message": sprintf("allow of the whole public space on %s", [listed(ports)]),
		"help": "name the peers that administer this, such as an office's cidrs, or leave the port out",
	}
}

listed(ports) := concat(", ", ports) if count(ports) <= 4

listed(ports) := text if {
	count(ports) > 4
	text := sprintf("%s and %d more", [concat(", ", array.slice(ports, 0, 3)), count(ports) - 3])
}

open if input.rule.whole_ipv4

open if input.rule.whole_ipv6

# An audit rule opens nothing.
audits if input.policy.audit

audits if input.rule.audit

named contains port if {
	some l4 in input.rule.l4
	l4.any
	some port in known
}

named contains port if {
	some l4 in input.rule.l4
	l4.first == l4.last
	some port in known
	port.proto == l4.proto
	port.number == l4.first
}

named contains port if {
	some l4 in input.rule.l4
	l4.first < l4.last
	some port in known
	port.proto == l4.proto
	l4.first <= port.number
	port.number <= l4.last
}

known := [
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
