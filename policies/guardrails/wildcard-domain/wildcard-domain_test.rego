package mpol.guardrails["wildcard-domain_test"]

import data.mpol.guardrails["wildcard-domain"] as guardrail

test_allows_exact_ports if {
	quiet with input as item({"l4": [tcp(443, 443), tcp(8443, 8443)]}, {})
}

test_allows_icmp if {
	quiet with input as item({"l4": [{"proto": 1, "first": 0, "last": 65535}]}, {})
}

test_allows_a_name_without_wildcard if {
	quiet with input as item({}, {"wild": false})
}

test_allows_a_server_name if {
	quiet with input as item({}, {"use": "sni"})
}

test_allows_a_deny if {
	quiet with input as item({"action": "deny"}, {})
}

test_warns_of_any_protocol if {
	warned with input as item({}, {})
}

test_warns_of_a_range if {
	warned with input as item({"l4": [tcp(443, 443), tcp(8000, 8001)]}, {})
}

quiet if count(guardrail.warn) == 0

warned if {
	guardrail.warn == {{
		"span": "pattern",
		"message": "egress allow of \"*.a.example\" on a range of ports",
		"help": "name the ports, such as tcp/443, or the hosts",
	}}
}

item(fields, pattern) := {"policy": {}, "direction": "egress", "rule": object.union(
	{
		"action": "allow",
		"l4": [{"any": true, "proto": 0, "first": 0, "last": 0}],
		"patterns": [object.union({"pattern": "*.a.example", "use": "peer", "wild": true, "span": "pattern"}, pattern)],
	},
	fields,
)}

tcp(first, last) := {"proto": 6, "first": first, "last": last}
