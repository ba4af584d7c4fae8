package mpol.guardrails["host-ports_test"]

import data.mpol.guardrails["host-ports"] as guardrail

test_allows_one_port if {
	quiet with input as item({}, {"l4": [{"proto": 17, "first": 53, "last": 53}]})
}

test_allows_other_peers if {
	quiet with input as item({}, {"peers": {"include": [{"kind": "workloads"}]}})
}

test_allows_a_deny if {
	quiet with input as item({}, {"action": "deny"})
}

test_allows_an_audit if {
	quiet with input as item({"audit": true}, {})
	quiet with input as item({}, {"audit": true})
}

test_denies_any_protocol if {
	denied with input as item({}, {})
}

test_denies_every_port_of_tcp if {
	denied with input as item({}, {"l4": [{"proto": 6, "first": 1, "last": 65535}]})
}

quiet if count(guardrail.deny) == 0

denied if {
	guardrail.deny == {{
		"span": "place",
		"message": "egress allow of every port of the node",
		"help": "name the ports of the node that the workload needs",
	}}
}

item(policy, fields) := {"policy": policy, "direction": "egress", "rule": rule(fields)}

rule(fields) := object.union(
	{
		"action": "allow",
		"peers": {"include": [{"kind": "host"}]},
		"l4": [{"any": true, "proto": 0, "first": 0, "last": 0}],
		"place_span": "place",
	},
	fields,
)
