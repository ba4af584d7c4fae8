# No egress allow reaches a cloud's metadata service.
package mpol.guardrails.metadata

deny contains violation if {
	input.direction == "egress"
	input.rule.action == "allow"
	wide
	not audits
	web
	reached := [address |
		some address in addresses
		reaches(address)
	]
	count(reached) > 0
	violation := {
		"span": input.rule.peers_span,
		"message": sprintf("egress allow of the cloud's metadata service at %s", [concat(", ", reached)]),
		"help": sprintf("except %s takes it away; so does internet for world", [concat(", ", reached)]),
	}
}

# Most rules name workloads or domains alone and are done here.
wide if {
	some peer in input.rule.peers.include
	peer.kind in {"any", "world", "prefix"}
}

wide if {
	some peer in input.rule.peers.include
	some _ in peer.domain.private
}

# An audit rule opens nothing.
audits if input.policy.audit

audits if input.rule.audit

web if {
	some l4 in input.rule.l4
	l4.any
}

web if {
	some l4 in input.rule.l4
	l4.proto == 6
	l4.first <= 80
	80 <= l4.last
}

reaches(address) if {
	some peer in input.rule.peers.include
	covers(peer, address)
	not excepted(address)
}

excepted(address) if {
	some peer in input.rule.peers.except
	covers(peer, address)
}

covers(peer, _) if peer.kind in {"any", "world"}

covers(peer, address) if {
	peer.kind == "prefix"
	net.cidr_contains(peer.prefix, address)
}

covers(peer, address) if {
	some prefix in peer.domain.private
	net.cidr_contains(prefix, address)
}

addresses := ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"]
