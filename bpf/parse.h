/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From bytes to a packet: the ends, the protocol and what the judge compares. */
#ifndef MPOL_PARSE_H
#define MPOL_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

/* What a packet is to us. */
enum packet_kind {
	PACKET_FLOW,    /* belongs to a flow or opens one */
	PACKET_LINK,    /* ARP, neighbour discovery, multicast listener reports: no flow */
	PACKET_RELATED, /* an ICMP error about the flow of the packet's inner tuple */
};

struct packet {
	struct tuple tuple;
	__u16 port;  /* what entries compare: the server's port, or ICMP type << 8 | code */
	__u16 l3;    /* offset of the IP header, from the start of the data */
	__u16 l4;    /* offset of the transport header */
	__u8 family; /* 4 or 6 */
	__u8 kind;   /* enum packet_kind */
	__u8 tcp;    /* flags of the TCP header's 14th byte */
	__u8 side;   /* ICMP echo: 1 in a request, 2 in a reply; else 0 */
	__u8 proto;  /* of the packet; that of an inner tuple may differ */
	__u8 pad;
	struct addr outer; /* PACKET_RELATED: the sender of the error */
};

/* The first 8 bytes of ICMP and ICMPv6; linux/icmp.h needs a C library. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 id;
	__be16 sequence;
};

#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_PKT_FILTERED 13
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_ADM_PROHIBITED 1
#define ICMPV6_PARAMPROB 4
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Whether a packet asks for a connection. */
static __always_inline int opens(const struct packet *p)
{
	return p->proto == IPPROTO_TCP && p->kind == PACKET_FLOW &&
	       (p->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET 0x1fff
#define EXTENSIONS 6
#define ICMPV6_MLD_FIRST 130
#define ICMPV6_MLD_LAST 132
#define ICMPV6_MLD2 143
#define ICMPV6_ND_FIRST 133
#define ICMPV6_ND_LAST 137

/* An IPv6 extension header as far as it is read. */
struct extension {
	__u8 next;
	__u8 length;   /* in units of 8 bytes, the first not counted */
	__be16 offset; /* of a fragment header */
};

static __always_inline void set_v4(struct addr *to, __be32 from)
{
	__builtin_memset(to, 0, sizeof(*to));
	to->byte[10] = 0xff;
	to->byte[11] = 0xff;
	__builtin_memcpy(&to->byte[12], &from, 4);
}

static __always_inline int is_mapped(const struct addr *a)
{
	const __u32 *word = (const __u32 *)a;

	return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
}

static __always_inline int same_addr(const struct addr *x, const struct addr *y)
{
	const __u64 *a = (const __u64 *)x, *b = (const __u64 *)y;

	return a[0] == b[0] && a[1] == b[1];
}

/**
 * parse_ends - read an IP header
 * @at: offset of the header; returns that of the transport header
 * @hops: TTL or hop limit
 *
 * Returns the transport protocol or minus a drop reason; the addresses of a fragment are set.
 */
static __always_inline int parse_ends(struct __sk_buff *skb, struct tuple *t, __u8 family,
				      __u32 *at, __u8 *hops)
{
	struct ipv6hdr ip6;
	__u32 off = *at;
	__u8 next;

	if (family == 4) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
			return -DROP_UNPARSABLE;
		set_v4(&t->src, ip.saddr);
		set_v4(&t->dst, ip.daddr);
		if (ip.frag_off & bpf_htons(IP_OFFSET | IP_MORE_FRAGMENTS))
			return -DROP_FRAGMENT;
		*hops = ip.ttl;
		*at = off + ip.ihl * 4;
		return ip.protocol;
	}
	if (bpf_skb_load_bytes(skb, off, &ip6, sizeof(ip6)) || ip6.version != 6)
		return -DROP_UNPARSABLE;
	__builtin_memcpy(&t->src, &ip6.saddr, 16);
	__builtin_memcpy(&t->dst, &ip6.daddr, 16);
	/* Nobody may pass for an IPv4 address by IPv6 (RFC 4942, 2.2). */
	if (is_mapped(&t->src) || is_mapped(&t->dst))
		return -DROP_UNPARSABLE;
	*hops = ip6.hop_limit;
	next = ip6.nexthdr;
	off += sizeof(ip6);
	for (int i = 0; i < EXTENSIONS; i++) {
		struct extension ext;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_ROUTING) {
			*at = off;
			return next;
		}
		if (bpf_skb_load_bytes(skb, off, &ext, sizeof(ext)))
			return -DROP_UNPARSABLE;
		/* A routing header would lead elsewhere than to the address that is judged. */
		if (next == IPPROTO_ROUTING)
			return -DROP_UNPARSABLE;
		if (next == IPPROTO_FRAGMENT) {
			if (ext.offset & bpf_htons(0xfff9))
				return -DROP_FRAGMENT;
			ext.length = 0;
		}
		off += 8 + ext.length * 8;
		next = ext.next;
	}
	return -DROP_UNPARSABLE;
}

/* ICMP errors: about a packet that they carry. */
static __always_inline int is_error(__u8 proto, __u8 type)
{
	if (proto == IPPROTO_ICMP)
		return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
		       type == ICMP_PARAMETERPROB;
	return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
}

static __always_inline int is_link(__u8 type, __u8 hops)
{
	if (type >= ICMPV6_ND_FIRST && type <= ICMPV6_ND_LAST)
		return hops == 255;
	return ((type >= ICMPV6_MLD_FIRST && type <= ICMPV6_MLD_LAST) || type == ICMPV6_MLD2) &&
	       hops == 1;
}

/* Sets the ports of an ICMP packet: the asker's is the identifier, the other's type and code. */
static __always_inline void set_icmp(struct packet *p, struct tuple *t, const struct icmp_header *h)
{
	__u8 ask = p->family == 4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST;
	__u8 answer = p->family == 4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY;
	__u16 id = bpf_ntohs(h->id);

	p->port = (__u16)h->type << 8 | h->code;
	t->sport = 0;
	t->dport = p->port;
	p->side = 0;
	if (h->code)
		return;
	if (h->type == ask) {
		p->side = 1;
		t->sport = id;
	} else if (h->type == answer) {
		p->side = 2;
		t->sport = (__u16)ask << 8;
		t->dport = id;
	}
}

/**
 * parse_ports - read what tells the flows of a transport protocol apart
 *
 * Sets @p->port and the ports of @t. Returns 0 or minus a drop reason.
 */
static __always_inline int parse_ports(struct __sk_buff *skb, struct packet *p, struct tuple *t,
				       __u32 at)
{
	struct icmp_header icmp;
	__be16 ports[2];

	switch (t->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
			return -DROP_UNPARSABLE;
		t->sport = bpf_ntohs(ports[0]);
		t->dport = bpf_ntohs(ports[1]);
		p->port = t->dport;
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((t->proto == IPPROTO_ICMP) != (p->family == 4))
			return -DROP_UNPARSABLE;
		if (bpf_skb_load_bytes(skb, at, &icmp, sizeof(icmp)))
			return -DROP_UNPARSABLE;
		set_icmp(p, t, &icmp);
		return 0;
	}
	return 0;
}

/* The first 14 bytes of a TCP header. */
struct tcp_head {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u8 offset;
	__u8 flags;
} __attribute__((packed));

/* The same for a TCP packet, with its flags; of all packets most are of this kind. */
static __always_inline int parse_tcp(struct __sk_buff *skb, struct packet *p, __u32 at)
{
	struct tcp_head tcp;

	if (bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp)))
		return -DROP_UNPARSABLE;
	p->tuple.sport = bpf_ntohs(tcp.source);
	p->tuple.dport = bpf_ntohs(tcp.dest);
	p->port = p->tuple.dport;
	p->tcp = tcp.flags;
	return 0;
}

/*
 * Replaces the tuple of an ICMP error by that of the packet it is about, turned round, so that the
 * error goes the way of its flow's other direction. An error that cannot be read so, or is not
 * addressed to the sender of that packet, stays a packet of its own.
 */
static __always_inline void parse_related(struct __sk_buff *skb, struct packet *p)
{
	struct packet inner = { .family = p->family };
	__u32 at = p->l4 + 8;
	__u8 hops;
	int proto;

	proto = parse_ends(skb, &inner.tuple, p->family, &at, &hops);
	if (proto < 0 || !same_addr(&inner.tuple.src, &p->tuple.dst))
		return;
	inner.tuple.proto = proto;
	if (parse_ports(skb, &inner, &inner.tuple, at))
		return;
	p->outer = p->tuple.src;
	p->tuple.src = inner.tuple.dst;
	p->tuple.dst = inner.tuple.src;
	p->tuple.sport = inner.tuple.dport;
	p->tuple.dport = inner.tuple.sport;
	p->tuple.proto = proto;
	p->side = inner.side ? 3 - inner.side : 0;
	p->kind = PACKET_RELATED;
}

/**
 * parse - read a packet
 * @l3: offset of the IP header, from the start of the data
 *
 * Returns 0 or minus a drop reason.
 */
__noinline int parse(struct __sk_buff *skb, struct packet *p, __u32 l3)
{
	__u32 at = l3;
	__u8 hops;
	int proto, err;

	if (!p)
		return -DROP_UNPARSABLE;
	__builtin_memset(p, 0, sizeof(*p));
	if (skb->protocol == bpf_htons(ETH_P_IP))
		p->family = 4;
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		p->family = 6;
	else if (skb->protocol == bpf_htons(ETH_P_ARP)) {
		p->kind = PACKET_LINK;
		return 0;
	} else
		return -DROP_NOT_IP;
	proto = parse_ends(skb, &p->tuple, p->family, &at, &hops);
	if (proto < 0)
		return proto;
	p->proto = p->tuple.proto = proto;
	p->l3 = l3;
	p->l4 = at;
	if (proto == IPPROTO_TCP)
		return parse_tcp(skb, p, at);
	err = parse_ports(skb, p, &p->tuple, at);
	if (err)
		return err;
	/* No router passes these on. */
	if (proto == IPPROTO_IGMP && p->family == 4 && hops == 1 &&
	    (p->tuple.dst.byte[12] & 0xf0) == 0xe0)
		p->kind = PACKET_LINK;
	if (proto == IPPROTO_ICMPV6 && is_link(p->port >> 8, hops))
		p->kind = PACKET_LINK;
	if ((proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) && is_error(proto, p->port >> 8))
		parse_related(skb, p);
	return 0;
}

#endif
