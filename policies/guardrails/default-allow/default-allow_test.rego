package mpol.guardrails["default-allow_test"]

import data.mpol.guardrails["default-allow"] as guardrail

test_allows_a_default_of_deny if {
	count(guardrail.warn) == 0 with input as {"module": {"default": {"action": "deny", "span": "default"}}}
}

test_allows_a_run_without_default if {
	count(guardrail.warn) == 0 with input as {"module": {"policies": []}}
}

test_warns_of_a_default_of_allow if {
	guardrail.warn == {{
		"span": "default",
		"message": "what no policy governs is allowed",
		"help": "write default deny once every workload has its policy",
	}} with input as {"module": {"default": {"action": "allow", "span": "default"}}}
}
