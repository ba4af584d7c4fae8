package mpol.guardrails.untested_test

import data.mpol.guardrails.untested

test_allows_a_run_without_tests if {
	quiet with input as {"module": {"policies": policies, "tests": []}}
}

test_allows_packages_with_tests if {
	quiet with input as {"module": {"policies": policies, "tests": [{"package": "shop", "lines": []}, {"package": "lab", "lines": []}]}}
}

test_allows_a_package_whose_rule_another_test_names if {
	lines := [{"by": "app.default"}, {"by": "lab.db.apps"}, {}]
	quiet with input as {"module": {"policies": policies, "tests": [{"package": "shop", "lines": lines}]}}
}

test_warns_once_at_the_first_policy if {
	untested.warn == {{
		"span": "lab.db",
		"message": "no test of this run is about the package lab",
		"help": "add a test block to it, or name one of its rules in another: by lab.db.RULE",
	}} with input as {"module": {"policies": policies, "tests": [{"package": "shop", "lines": [{"by": "shop.web.edge"}]}]}}
}

quiet if count(untested.warn) == 0

policies := [
	{"name": "shop.web", "name_span": "shop.web"},
	{"name": "lab.db", "name_span": "lab.db"},
	{"name": "lab.api", "name_span": "lab.api"},
]
