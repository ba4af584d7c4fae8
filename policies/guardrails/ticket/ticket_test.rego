package mpol.guardrails.ticket_test

import data.mpol.guardrails.ticket

test_allows_a_key if {
	quiet with input as policy([annotation("ticket", ["SEC-101"])])
}

test_allows_several_tickets if {
	quiet with input as policy([annotation("ticket", ["SEC-101", "NET_2-7"]), annotation("ticket", ["OPS-3"])])
}

test_allows_an_address if {
	quiet with input as rule([annotation("ticket", ["https://tickets.example/7"])])
}

test_allows_no_ticket if {
	quiet with input as policy([annotation("owner", ["101"])])
	quiet with input as rule([annotation("tag", [" "])])
}

test_denies_a_ticket_without_a_value if {
	denied with input as policy([annotation("ticket", [])])
}

test_denies_a_blank_ticket if {
	denied with input as rule([annotation("ticket", [" "])])
}

test_warns_of_what_nobody_finds if {
	warned("101") with input as policy([annotation("ticket", ["101"])])
	warned("see Jo") with input as rule([annotation("ticket", ["SEC-101", "see Jo"])])
	warned("") with input as policy([annotation("ticket", ["SEC-101", ""])])
}

quiet if count(ticket.deny | ticket.warn) == 0

denied if {
	ticket.deny == {{
		"span": "ticket",
		"message": "@ticket names no ticket",
		"help": "write @ticket(\"SEC-101\"), or remove it",
	}}
	count(ticket.warn) == 0
}

warned(value) if {
	ticket.warn == {{
		"span": "ticket",
		"message": sprintf("%q is no ticket's key or address", [value]),
		"help": "write @ticket(\"SEC-101\") or @ticket(\"https://...\")",
	}}
	count(ticket.deny) == 0
}

policy(annotations) := {"policy": {"annotations": annotations}}

# What is wrong with its policy is not said of each rule.
rule(annotations) := {
	"policy": {"annotations": [annotation("ticket", [])]},
	"direction": "egress",
	"rule": {"annotations": annotations},
}

annotation(key, values) := {"key": key, "values": values, "span": key}
