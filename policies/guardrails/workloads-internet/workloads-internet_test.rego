package mpol.guardrails["workloads-internet_test"]

import data.mpol.guardrails["workloads-internet"] as guardrail

test_allows_one_workload if {
	quiet with input as item({"subject": {"all": false, "selector": {"op": "has", "key": "app"}}}, {})
}

test_allows_some_peers if {
	quiet with input as item({}, {"whole_ipv4": false, "whole_ipv6": false})
}

test_allows_a_deny if {
	quiet with input as item({}, {"action": "deny"})
}

test_allows_an_audit if {
	quiet with input as item({"audit": true}, {})
	quiet with input as item({}, {"audit": true})
}

test_denies_both_families if {
	denied with input as item({}, {})
}

test_denies_one_family_alone if {
	denied with input as item({}, {"whole_ipv4": false})
	denied with input as item({}, {"whole_ipv6": false})
}

quiet if count(guardrail.deny) == 0

denied if {
	guardrail.deny == {{
		"span": "peers",
		"message": "every workload may reach the whole public space",
		"help": "grant it to the workloads that need it, or name what all of them need",
	}}
}

item(policy, rule) := {
	"policy": object.union({"subject": {"all": true}}, policy),
	"direction": "egress",
	"rule": object.union({"action": "allow", "whole_ipv4": true, "whole_ipv6": true, "peers_span": "peers"}, rule),
}
