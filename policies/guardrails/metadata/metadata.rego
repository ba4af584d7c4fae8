# No egress allow reaches a cloud's metadata service.
package mpol.guardrails.metadata

deny contains violation if {
	some policy in input.module.policies
	some rule in policy.egress.rules
	rule.action == "allow"
	wide(rule)
	not audits(policy, rule)
	web(rule.l4)
	reached := [address |
		some address in addresses
		reaches(rule, address)
	]
	count(reached) > 0
	violation := {
		"span": rule.peers_span,
		"message": sprintf("egress allow of the cloud's metadata service at %s", [concat(", ", reached)]),
		"help": sprintf("except %s takes it away; so does internet for world", [concat(", ", reached)]),
	}
}

# Most rules name workloads or domains alone and are done here.
wide(rule) if {
	some peer in rule.peers.include
	not peer.kind in {"selector", "same", "workloads", "host", "internet"}
	not plain(peer)
}

# A domain that opens public addresses alone.
plain(peer) if {
	peer.kind == "domain"
	count(object.get(peer.domain, "private", [])) == 0
}

# An audit rule opens nothing.
audits(policy, _) if policy.audit

audits(_, rule) if rule.audit

web(l4s) if {
	some l4 in l4s
	l4.any
}

web(l4s) if {
	some l4 in l4s
	l4.proto == 6
	l4.first <= 80
	80 <= l4.last
}

reaches(rule, address) if {
	some peer in rule.peers.include
	covers(peer, address)
	not excepted(rule, address)
}

excepted(rule, address) if {
	some peer in rule.peers.except
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
