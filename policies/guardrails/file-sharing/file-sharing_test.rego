package mpol.guardrails["file-sharing_test"]

import data.mpol.guardrails["file-sharing"] as guardrail

test_allows_another_port if {
	quiet with input as item({}, {"first": 8443, "last": 8443})
}

test_allows_the_same_number_of_another_protocol if {
	quiet with input as item({}, {"proto": 132})
}

test_allows_it_for_some_peers if {
	quiet with input as item({"whole_ipv4": false, "whole_ipv6": false}, {})
}

test_allows_a_deny if {
	quiet with input as item({"action": "deny"}, {})
}

test_allows_the_other_direction if {
	quiet with input as object.union(item({}, {}), {"direction": "egress"})
}

test_allows_an_audit_rule if {
	quiet with input as item({"audit": true}, {})
}

test_allows_an_audit_policy if {
	quiet with input as object.union(item({}, {}), {"policy": {"audit": true}})
}

test_allows_every_port_which_another_guardrail_refuses if {
	quiet with input as item({"l4": [{"any": true, "proto": 0, "first": 0, "last": 0}]}, {})
	quiet with input as item({}, {"first": 1, "last": 65535})
}

test_denies_the_port if {
	said("tcp/445 (SMB)") with input as item({}, {})
}

test_denies_one_family_alone if {
	said("tcp/445 (SMB)") with input as item({"whole_ipv4": false}, {})
	said("tcp/445 (SMB)") with input as item({"whole_ipv6": false}, {})
}

test_denies_a_range_over_it if {
	some said in guardrail.deny with input as item({}, {"first": 444, "last": 445})
	contains(said.message, "tcp/445 (SMB)")
}

quiet if count(guardrail.deny) == 0

said(ports) if {
	guardrail.deny == {{
		"span": "l4",
		"message": sprintf("ingress allow of the whole public space on %s", [ports]),
		"help": "name the workloads or prefixes that share these files",
	}}
}

item(fields, l4) := {"policy": {}, "direction": "ingress", "rule": object.union(rule(l4), fields)}

rule(l4) := {
	"action": "allow",
	"whole_ipv4": true,
	"whole_ipv6": true,
	"l4": [object.union({"proto": 6, "first": 445, "last": 445}, l4)],
	"l4_span": "l4",
}
