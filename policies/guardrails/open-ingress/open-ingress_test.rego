package mpol.guardrails["open-ingress_test"]

import data.mpol.guardrails["open-ingress"] as guardrail

test_allows_everyone_on_one_port if {
	quiet with input as ingress({}, [tcp(443, 443)])
}

test_allows_every_port_for_some if {
	quiet with input as ingress({"whole_ipv4": false, "whole_ipv6": false}, [everything])
}

test_allows_a_gap if {
	quiet with input as ingress({}, [tcp(1, 79), tcp(81, 65535)])
}

test_allows_a_deny if {
	quiet with input as ingress({"action": "deny"}, [everything])
}

test_allows_egress if {
	quiet with input as object.union(ingress({}, [everything]), {"direction": "egress"})
}

test_allows_an_audit_rule if {
	quiet with input as ingress({"audit": true}, [everything])
}

test_allows_an_audit_policy if {
	quiet with input as object.union(ingress({}, [everything]), {"policy": {"audit": true}})
}

test_denies_any_protocol if {
	denied with input as ingress({}, [everything])
}

test_denies_every_port_of_tcp if {
	denied with input as ingress({}, [tcp(1, 65535)])
}

test_denies_ranges_that_add_up if {
	denied with input as ingress({}, [tcp(30001, 65535), tcp(1, 30000)])
}

test_denies_one_family_alone if {
	denied with input as ingress({"whole_ipv4": false}, [everything])
	denied with input as ingress({"whole_ipv6": false}, [everything])
}

quiet if count(guardrail.deny) == 0

denied if {
	guardrail.deny == {{
		"span": "place",
		"message": "ingress allow from everywhere on every port",
		"help": "name the ports that the workload serves, or who may reach it",
	}}
}

ingress(fields, l4) := {"policy": {}, "direction": "ingress", "rule": rule(fields, l4)}

rule(fields, l4) := object.union(
	{"action": "allow", "whole_ipv4": true, "whole_ipv6": true, "l4": l4, "place_span": "place"},
	fields,
)

everything := {"any": true, "proto": 0, "first": 0, "last": 0}

tcp(first, last) := {"proto": 6, "first": first, "last": last}
