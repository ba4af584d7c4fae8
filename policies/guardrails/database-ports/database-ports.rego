# No ingress allow opens a database to the public space of a family.
package mpol.guardrails["database-ports"]

deny contains violation if {
	open
	input.direction == "ingress"
	input.rule.action == "allow"
	not audits
	some _ in named
	ports := [port.text | some port in listed; port in named]
	violation := {
		"span": input.rule.l4_span,
		"message": sprintf("ingress allow of the whole public space on %s", [concat(", ", ports)]),
		"help": "name the workloads or prefixes that use this database",
	}
}

open if input.rule.whole_ipv4

open if input.rule.whole_ipv6

# An audit rule opens nothing.
audits if input.policy.audit

audits if input.rule.audit

named contains port if {
	some l4 in input.rule.l4
	l4.first == l4.last
	some port in listed
	port.proto == l4.proto
	port.number == l4.first
}

# A range contains the port. What is every port is for open-ingress to say.
named contains port if {
	some l4 in input.rule.l4
	l4.first < l4.last
	l4.last - l4.first < 65534
	some port in listed
	port.proto == l4.proto
	l4.first <= port.number
	port.number <= l4.last
}

listed := [
	{"proto": 6, "number": 1433, "text": "tcp/1433 (SQL Server)"},
	{"proto": 6, "number": 1521, "text": "tcp/1521 (Oracle)"},
	{"proto": 6, "number": 3306, "text": "tcp/3306 (MySQL)"},
	{"proto": 6, "number": 5432, "text": "tcp/5432 (PostgreSQL)"},
	{"proto": 6, "number": 5984, "text": "tcp/5984 (CouchDB)"},
	{"proto": 6, "number": 6379, "text": "tcp/6379 (Redis)"},
	{"proto": 6, "number": 7000, "text": "tcp/7000 (Cassandra)"},
	{"proto": 6, "number": 8086, "text": "tcp/8086 (InfluxDB)"},
	{"proto": 6, "number": 9042, "text": "tcp/9042 (Cassandra)"},
	{"proto": 6, "number": 9200, "text": "tcp/9200 (Elasticsearch)"},
	{"proto": 6, "number": 9300, "text": "tcp/9300 (Elasticsearch)"},
	{"proto": 6, "number": 11211, "text": "tcp/11211 (memcached)"},
	{"proto": 17, "number": 11211, "text": "udp/11211 (memcached)"},
	{"proto": 6, "number": 27017, "text": "tcp/27017 (MongoDB)"},
]
