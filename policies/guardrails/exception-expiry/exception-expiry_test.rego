package mpol.guardrails["exception-expiry_test"]

import data.mpol.guardrails["exception-expiry"] as guardrail

test_allows_no_exception if {
	quiet with input as policy([annotation("owner", ["team"])])
}

test_allows_an_exception_that_expires if {
	quiet with input as policy([exception, expiry])
	quiet with input as rule([], [exception, expiry])
}

test_allows_an_exception_in_a_policy_that_expires if {
	quiet with input as rule([expiry], [exception])
}

test_allows_its_own_exception if {
	quiet with input as policy([annotation("allow", ["exception-expiry", "for good"])])
}

test_allows_an_exception_of_nothing if {
	quiet with input as policy([annotation("allow", [])])
}

test_warns_at_the_policy if {
	warned with input as policy([exception])
}

test_allows_it_at_its_rules_once_said if {
	quiet with input as rule([exception], [expiry])
}

test_warns_at_the_rule if {
	warned with input as rule([annotation("owner", ["team"])], [exception])
}

quiet if count(guardrail.warn) == 0

warned if {
	guardrail.warn == {{
		"span": "allow",
		"message": "exception from admin-ports does not expire",
		"help": "write @expires(\"2027-06-30\") beside it: the day on which somebody looks at it again",
	}}
}

policy(annotations) := {"policy": {"annotations": annotations}}

rule(above, annotations) := {"policy": {"annotations": above}, "direction": "egress", "rule": {"annotations": annotations}}

exception := annotation("allow", ["admin-ports", "a lab"])

expiry := annotation("expires", ["2027-06-30"])

annotation(key, values) := {"key": key, "values": values, "span": key}
