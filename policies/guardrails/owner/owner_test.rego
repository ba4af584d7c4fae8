package mpol.guardrails.owner_test

import data.mpol.guardrails.owner

test_allows_a_policy_with_an_owner if {
	count(owner.deny) == 0 with input as item([{"key": "owner", "values": ["team-web"]}])
}

test_allows_an_owner_beside_other_annotations if {
	annotations := [{"key": "ticket", "values": ["SEC-1"]}, {"key": "owner", "values": ["team-web"]}]
	count(owner.deny) == 0 with input as item(annotations)
}

test_denies_a_policy_without_annotations if {
	owner.deny == {violation} with input as item(null)
}

test_denies_a_policy_with_another_annotation if {
	owner.deny == {violation} with input as item([{"key": "ticket", "values": ["team-web"]}])
}

test_denies_an_owner_without_a_value if {
	owner.deny == {violation} with input as item([{"key": "owner", "values": []}])
}

test_denies_a_blank_owner if {
	owner.deny == {violation} with input as item([{"key": "owner", "values": [" "]}])
}

item(annotations) := {"policy": {"name": "shop.web", "annotations": annotations, "name_span": {"file": "shop.mpol"}}}

violation := {
	"span": {"file": "shop.mpol"},
	"message": "policy shop.web has no owner",
	"help": "write @owner(\"team\") on the line before the policy",
}
