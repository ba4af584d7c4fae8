# Where some packages are tested, all are.
package mpol.guardrails.untested

warn contains violation if {
	some _ in input.module.tests
	some package_name in ({package_of(policy.name) | some policy in input.module.policies} - tested)
	first := min([i | some i, policy in input.module.policies; package_of(policy.name) == package_name])
	violation := {
		"span": input.module.policies[first].name_span,
		"message": sprintf("no test of this run is about the package %s", [package_name]),
		"help": sprintf("add a test block to it, or name one of its rules in another: by %s", [example(input.module.policies[first])]),
	}
}

# By a test of its own.
tested contains test.package if some test in input.module.tests

# By a line of any test that names one of its rules.
tested contains package_name if {
	some test in input.module.tests
	some line in test.lines
	package_name := package_of(line.by)
}

package_of(name) := split(name, ".")[0]

example(policy) := sprintf("%s.RULE", [policy.name])
