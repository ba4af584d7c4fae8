// SPDX-License-Identifier: Apache-2.0

package lang

import "strings"

// WellKnown returns the protocols and ports, as the language writes them, of a service that is known by a
// name, as most of these are in the registry of IANA; empty for others. The language itself knows none:
// it is for help.
func WellKnown(service string) string {
	return map[string]string{
		"amqp": "tcp/5672", "bgp": "tcp/179", "cassandra": "tcp/9042", "clickhouse": "tcp/9000", "consul": "tcp/8500",
		"dhcp": "udp/67", "dns": "udp/53, tcp/53", "domain": "udp/53, tcp/53", "echo": "icmp/8, icmpv6/128",
		"elasticsearch": "tcp/9200", "etcd": "tcp/2379", "ftp": "tcp/21", "git": "tcp/9418", "grpc": "tcp/50051",
		"http": "tcp/80", "https": "tcp/443", "imap": "tcp/143", "imaps": "tcp/993", "kafka": "tcp/9092",
		"kerberos": "udp/88, tcp/88", "ldap": "tcp/389", "ldaps": "tcp/636", "memcached": "tcp/11211", "mongo": "tcp/27017",
		"mongodb": "tcp/27017", "mqtt": "tcp/1883", "mssql": "tcp/1433", "mysql": "tcp/3306", "nats": "tcp/4222",
		"nfs": "tcp/2049", "ntp": "udp/123", "openvpn": "udp/1194", "ping": "icmp/8, icmpv6/128", "pop3": "tcp/110",
		"postgres": "tcp/5432", "postgresql": "tcp/5432", "prometheus": "tcp/9090", "quic": "udp/443",
		"rabbitmq": "tcp/5672", "rdp": "tcp/3389", "redis": "tcp/6379", "rsync": "tcp/873", "sentinel": "tcp/26379",
		"sip": "udp/5060, tcp/5060", "smb": "tcp/445", "smtp": "tcp/25", "smtps": "tcp/465", "snmp": "udp/161",
		"ssh": "tcp/22", "submission": "tcp/587", "syslog": "udp/514", "telnet": "tcp/23", "tftp": "udp/69", "tls": "tcp/443",
		"vxlan": "udp/4789", "wireguard": "udp/51820", "zookeeper": "tcp/2181",
	}[strings.ToLower(service)]
}
