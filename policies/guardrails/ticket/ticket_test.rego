package mpol.guardrails.ticket_test

import data.mpol.guardrails.ticket

test_allows_a_key if {
	quiet with input as module([annotation("ticket", ["SEC-101"])], [])
}

test_allows_several_tickets if {
	quiet with input as module([annotation("ticket", ["SEC-101", "NET_2-7"])], [annotation("ticket", ["OPS-3"])])
}

test_allows_an_address if {
	quiet with input as module([], [annotation("ticket", ["https://tickets.example/7"])])
}

test_allows_no_ticket if {
	quiet with input as module([annotation("owner", ["101"])], [annotation("tag", [" "])])
}

test_denies_a_ticket_without_a_value if {
	denied with input as module([annotation("ticket", [])], [])
}

test_denies_a_blank_ticket if {
	denied with input as module([], [annotation("ticket", [" "])])
}

test_warns_of_what_nobody_finds if {
	warned("101") with input as module([annotation("ticket", ["101"])], [])
	warned("see Jo") with input as module([], [annotation("ticket", ["SEC-101", "see Jo"])])
	warned("") with input as module([annotation("ticket", ["SEC-101", ""])], [])
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

module(policy, rule) := {"module": {"policies": [{"annotations": policy, "egress": {"rules": [{"annotations": rule}]}}]}}

annotation(key, values) := {"key": key, "values": values, "span": key}
