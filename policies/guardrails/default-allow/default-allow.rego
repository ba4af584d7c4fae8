# What no policy governs is denied.
package mpol.guardrails["default-allow"]

warn contains violation if {
	input.module.default.action == "allow"
	violation := {
		"span": input.module.default.span,
		"message": "what no policy governs is allowed",
		"help": "write default deny once every workload has its policy",
	}
}
