package mpol.guardrails.metadata_test

import data.mpol.guardrails.metadata

test_allows_workloads_and_the_internet if {
	quiet with input as egress([{"kind": "workloads"}, {"kind": "internet"}, {"kind": "selector"}], [])
}

test_allows_a_prefix_beside if {
	quiet with input as egress([prefix("10.0.0.0/8"), prefix("2001:db8::/32")], [])
}

test_allows_a_domain if {
	quiet with input as egress([{"kind": "domain", "domain": {"patterns": ["a.example"]}}], [])
	quiet with input as egress([{"kind": "domain", "domain": {"patterns": ["a.example"], "private": ["10.0.0.0/8"]}}], [])
}

test_allows_the_world_without_it if {
	quiet with input as egress([{"kind": "world"}], every_address)
	quiet with input as egress([{"kind": "any"}], [{"kind": "world"}])
}

test_allows_another_port if {
	quiet with input as item({"l4": [{"proto": 6, "first": 443, "last": 443}]}, [{"kind": "world"}], [])
	quiet with input as item({"l4": [{"proto": 17, "first": 80, "last": 80}]}, [{"kind": "world"}], [])
}

test_allows_a_deny if {
	quiet with input as item({"action": "deny"}, [{"kind": "any"}], [])
}

test_allows_an_audit_rule if {
	quiet with input as item({"audit": true}, [{"kind": "any"}], [])
}

test_allows_an_audit_policy if {
	quiet with input as object.union(egress([{"kind": "any"}], []), {"policy": {"audit": true}})
}

test_denies_the_world if {
	denied(all) with input as egress([{"kind": "world"}], [])
	denied(all) with input as egress([{"kind": "any"}], [{"kind": "host"}])
}

test_denies_any_protocol if {
	denied(all) with input as item({"l4": [{"any": true, "proto": 0, "first": 0, "last": 0}]}, [{"kind": "world"}], [])
}

test_denies_the_address if {
	denied("169.254.169.254") with input as egress([prefix("169.254.169.254/32")], [])
	denied("fd00:ec2::254") with input as egress([prefix("fd00:ec2::254/128")], [])
}

test_denies_a_prefix_around if {
	denied("169.254.169.254, 169.254.170.2") with input as egress([prefix("169.254.0.0/16")], [])
}

test_denies_what_is_left if {
	denied("169.254.170.2") with input as egress([prefix("169.254.0.0/16")], [prefix("169.254.169.254/32")])
}

test_denies_a_domain_that_opens_it if {
	peer := {"kind": "domain", "domain": {"patterns": ["a.example"], "private": ["100.64.0.0/10"]}}
	denied("100.100.100.200") with input as egress([peer], [])
}

quiet if count(metadata.deny) == 0

denied(reached) if {
	metadata.deny == {{
		"span": "peers",
		"message": sprintf("egress allow of the cloud's metadata service at %s", [reached]),
		"help": sprintf("except %s takes it away; so does internet for world", [reached]),
	}}
}

all := "169.254.169.254, 169.254.170.2, 100.100.100.200, 168.63.129.16, fd00:ec2::254"

every_address := [prefix("169.254.0.0/16"), prefix("100.64.0.0/10"), prefix("168.63.129.16/32"), prefix("fc00::/7")]

egress(include, except) := item({}, include, except)

item(fields, include, except) := {"policy": {}, "direction": "egress", "rule": object.union(
	{
		"action": "allow",
		"peers": {"include": include, "except": except},
		"peers_span": "peers",
		"l4": [{"proto": 6, "first": 80, "last": 80}],
	},
	fields,
)}

prefix(text) := {"kind": "prefix", "prefix": text}
