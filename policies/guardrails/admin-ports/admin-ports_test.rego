package mpol.guardrails["admin-ports_test"]

import data.mpol.guardrails["admin-ports"] as guardrail

test_allows_a_public_port if {
	count(guardrail.deny) == 0 with input as ingress(whole, [tcp(443, 443)])
}

test_allows_an_administration_port_for_some if {
	count(guardrail.deny) == 0 with input as ingress(some_peers, [tcp(22, 22)])
}

test_allows_the_same_number_of_another_protocol if {
	count(guardrail.deny) == 0 with input as ingress(whole, [{"proto": 17, "first": 22, "last": 22}])
}

test_allows_ranges_beside_the_ports if {
	count(guardrail.deny) == 0 with input as ingress(whole, [tcp(1, 21), tcp(24, 2374)])
}

test_allows_a_deny if {
	rule := object.union(whole, {"action": "deny"})
	count(guardrail.deny) == 0 with input as ingress(rule, [tcp(22, 22)])
}

test_allows_an_audit if {
	rule := object.union(whole, {"audit": true})
	count(guardrail.deny) == 0 with input as ingress(rule, [tcp(22, 22)])
	count(guardrail.deny) == 0 with input as object.union(ingress(whole, [tcp(22, 22)]), {"policy": {"audit": true}})
}

test_denies_ssh_from_the_public_space_of_ipv4 if {
	rule := object.union(whole, {"whole_ipv6": false})
	denied("tcp/22 (SSH)") with input as ingress(rule, [tcp(22, 22)])
}

test_denies_ssh_from_the_public_space_of_ipv6 if {
	rule := object.union(whole, {"whole_ipv4": false})
	denied("tcp/22 (SSH)") with input as ingress(rule, [tcp(22, 22)])
}

test_denies_ssh_to_the_public_space if {
	denied("tcp/22 (SSH)") with input as egress(whole, [tcp(443, 443), tcp(22, 22)])
}

test_denies_a_range_over_several_ports if {
	denied("tcp/22 (SSH), tcp/23 (Telnet)") with input as ingress(whole, [tcp(1, 1024)])
}

test_denies_a_udp_port if {
	denied("udp/623 (IPMI)") with input as ingress(whole, [{"proto": 17, "first": 623, "last": 623}])
}

test_denies_any_protocol if {
	denied("tcp/22 (SSH), tcp/23 (Telnet), udp/623 (IPMI) and 11 more") with input as ingress(whole, [{"any": true, "proto": 0, "first": 0, "last": 0}])
}

denied(ports) if {
	guardrail.deny == {{
		"span": {"line": 7},
		"message": sprintf("allow of the whole public space on %s", [ports]),
		"help": "name the peers that administer this, such as an office's cidrs, or leave the port out",
	}}
}

ingress(rule, l4) := item("ingress", rule, l4)

egress(rule, l4) := item("egress", rule, l4)

item(direction, rule, l4) := {"policy": {}, "direction": direction, "rule": object.union(rule, {"l4": l4, "l4_span": {"line": 7}})}

tcp(first, last) := {"proto": 6, "first": first, "last": last}

whole := {"action": "allow", "whole_ipv4": true, "whole_ipv6": true}

some_peers := {"action": "allow", "whole_ipv4": false, "whole_ipv6": false}
