package mpol.guardrails["dns-egress_test"]

import data.mpol.guardrails["dns-egress"] as guardrail

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
	quiet with input as object.union(item({}, {}), {"direction": "ingress"})
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

test_warns_the_port if {
	said("udp/53 (DNS)") with input as item({}, {})
}

test_warns_one_family_alone if {
	said("udp/53 (DNS)") with input as item({"whole_ipv4": false}, {})
	said("udp/53 (DNS)") with input as item({"whole_ipv6": false}, {})
}

test_warns_a_range_over_it if {
	some said in guardrail.warn with input as item({}, {"first": 52, "last": 53})
	contains(said.message, "udp/53 (DNS)")
}

quiet if count(guardrail.warn) == 0

said(ports) if {
	guardrail.warn == {{
		"span": "l4",
		"message": sprintf("egress allow of the whole public space on %s", [ports]),
		"help": "name the resolvers; a name in a policy brings the questions to them with it",
	}}
}

item(fields, l4) := {"policy": {}, "direction": "egress", "rule": object.union(rule(l4), fields)}

rule(l4) := {
	"action": "allow",
	"whole_ipv4": true,
	"whole_ipv6": true,
	"l4": [object.union({"proto": 17, "first": 53, "last": 53}, l4)],
	"l4_span": "l4",
}
