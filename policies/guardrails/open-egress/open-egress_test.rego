package mpol.guardrails["open-egress_test"]

import data.mpol.guardrails["open-egress"] as guardrail

test_allows_everything_on_one_port if {
	count(guardrail.deny) == 0 with input as egress({}, [tcp(443, 443)])
}

test_allows_every_port_of_some if {
	count(guardrail.deny) == 0 with input as egress({"whole_ipv4": false, "whole_ipv6": false}, [everything])
}

test_allows_a_gap_between_ranges if {
	count(guardrail.deny) == 0 with input as egress({}, [tcp(1, 79), tcp(81, 65535)])
}

test_allows_a_gap_at_the_start if {
	count(guardrail.deny) == 0 with input as egress({}, [tcp(2, 65535)])
}

test_allows_a_gap_at_the_end if {
	count(guardrail.deny) == 0 with input as egress({}, [tcp(1, 65534)])
}

test_allows_halves_of_two_protocols if {
	udp := {"proto": 17, "first": 30001, "last": 65535}
	count(guardrail.deny) == 0 with input as egress({}, [tcp(1, 30000), udp])
}

test_allows_icmp if {
	count(guardrail.deny) == 0 with input as egress({}, [{"proto": 1, "first": 0, "last": 65535}])
}

test_allows_a_deny if {
	count(guardrail.deny) == 0 with input as egress({"action": "deny"}, [everything])
}

test_allows_ingress if {
	count(guardrail.deny) == 0 with input as object.union(egress({}, [everything]), {"direction": "ingress"})
}

test_allows_an_audit if {
	count(guardrail.deny) == 0 with input as egress({"audit": true}, [everything])
	count(guardrail.deny) == 0 with input as object.union(egress({}, [everything]), {"policy": {"audit": true}})
}

test_denies_any_protocol if {
	denied with input as egress({}, [everything])
}

test_denies_every_port_of_tcp if {
	denied with input as egress({}, [tcp(0, 65535)])
}

test_denies_every_port_of_udp if {
	denied with input as egress({}, [{"proto": 17, "first": 1, "last": 65535}])
}

test_denies_ranges_that_add_up if {
	denied with input as egress({}, [tcp(30001, 65535), tcp(1, 20000), tcp(15000, 30000)])
}

test_denies_one_family_alone if {
	denied with input as egress({"whole_ipv4": false}, [everything])
	denied with input as egress({"whole_ipv6": false}, [everything])
}

denied if {
	guardrail.deny == {{
		"span": {"line": 7},
		"message": "egress allow of everything on every port",
		"help": "name the peers, or the ports, that the workload needs",
	}}
}

egress(fields, l4) := {"policy": {}, "direction": "egress", "rule": rule(fields, l4)}

rule(fields, l4) := object.union(
	{"action": "allow", "whole_ipv4": true, "whole_ipv6": true, "l4": l4, "place_span": {"line": 7}},
	fields,
)

everything := {"any": true, "proto": 0, "first": 0, "last": 0}

tcp(first, last) := {"proto": 6, "first": first, "last": last}
