/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers to refused packets: RST and ICMP prohibited, made of the packet itself at tcx. */
#ifndef MPOL_ANSWER_H
#define MPOL_ANSWER_H

#include <linux/pkt_cls.h>

#include "redirect.h"

#define QUOTE 8 /* bytes of the transport header that an ICMP error carries */

struct v4_error {
	struct iphdr ip;
	struct icmp_header icmp;
	struct iphdr about;
	__u8 quote[QUOTE];
};

struct v6_error {
	struct ipv6hdr ip;
	struct icmp_header icmp;
	struct ipv6hdr about;
	__u8 quote[QUOTE];
};

_Static_assert(sizeof(struct v4_error) == 56, "v4_error");
_Static_assert(sizeof(struct v6_error) == 96, "v6_error");

static __always_inline __sum16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __sum16 sum_of(const void *data, __u32 size, __u32 seed)
{
	return fold(bpf_csum_diff(0, 0, (__be32 *)data, size, seed));
}

/* The pseudo header of a checksum: addresses, protocol and length. */
static __always_inline __u32 pseudo(const struct packet *p, __u8 proto, __u16 length)
{
	__be32 rest[2] = { bpf_htonl(length), bpf_htonl(proto) };
	__u32 sum = bpf_csum_diff(0, 0, rest, sizeof(rest), 0);

	if (p->family == 4) {
		sum = bpf_csum_diff(0, 0, (__be32 *)&p->tuple.src.byte[12], 4, sum);
		return bpf_csum_diff(0, 0, (__be32 *)&p->tuple.dst.byte[12], 4, sum);
	}
	sum = bpf_csum_diff(0, 0, (__be32 *)&p->tuple.src, 16, sum);
	return bpf_csum_diff(0, 0, (__be32 *)&p->tuple.dst, 16, sum);
}

/* Writes the IPv4 header of an answer. */
static __always_inline void head_v4(struct iphdr *ip, const struct packet *p, __u8 proto,
				    __u16 length)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(sizeof(*ip) + length);
	ip->ttl = 64;
	ip->protocol = proto;
	__builtin_memcpy(&ip->saddr, &p->tuple.dst.byte[12], 4);
	__builtin_memcpy(&ip->daddr, &p->tuple.src.byte[12], 4);
	ip->check = sum_of(ip, sizeof(*ip), 0);
}

static __always_inline void head_v6(struct ipv6hdr *ip, const struct packet *p, __u8 proto,
				    __u16 length)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(length);
	ip->nexthdr = proto;
	ip->hop_limit = 64;
	__builtin_memcpy(&ip->saddr, &p->tuple.dst, 16);
	__builtin_memcpy(&ip->daddr, &p->tuple.src, 16);
}

/* Turns the Ethernet header round. Returns 0 or an error. */
static __always_inline int turn_link(struct __sk_buff *skb)
{
	struct ethhdr eth;
	__u8 mac[ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)))
		return -1;
	__builtin_memcpy(mac, eth.h_dest, ETH_ALEN);
	__builtin_memcpy(eth.h_dest, eth.h_source, ETH_ALEN);
	__builtin_memcpy(eth.h_source, mac, ETH_ALEN);
	return bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0);
}

/* Makes the packet its own RST (RFC 9293, 3.10.7.1). Returns 0 or an error. */
static __always_inline int make_reset(struct __sk_buff *skb, const struct packet *p)
{
	__u32 end = skb->len,
	      at = ETH_HLEN + (p->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	struct tcphdr old, tcp = {};
	__u32 data;

	if ((p->tcp & TCP_RST) || bpf_skb_load_bytes(skb, p->l4, &old, sizeof(old)))
		return -1;
	data = end - p->l4 - old.doff * 4;
	tcp.source = old.dest;
	tcp.dest = old.source;
	tcp.doff = sizeof(tcp) / 4;
	tcp.rst = 1;
	if (old.ack) {
		tcp.seq = old.ack_seq;
	} else {
		tcp.ack = 1;
		tcp.ack_seq = bpf_htonl(bpf_ntohl(old.seq) + data + old.syn + old.fin);
	}
	tcp.check = sum_of(&tcp, sizeof(tcp), pseudo(p, IPPROTO_TCP, sizeof(tcp)));
	if (bpf_skb_change_tail(skb, at + sizeof(tcp), 0))
		return -1;
	if (p->family == 4) {
		struct iphdr ip;

		head_v4(&ip, p, IPPROTO_TCP, sizeof(tcp));
		if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0))
			return -1;
	} else {
		struct ipv6hdr ip;

		head_v6(&ip, p, IPPROTO_TCP, sizeof(tcp));
		if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0))
			return -1;
	}
	return bpf_skb_store_bytes(skb, at, &tcp, sizeof(tcp), 0);
}

/* Makes the packet an ICMP error about itself. Returns 0 or an error. */
static __always_inline int make_prohibited_v4(struct __sk_buff *skb, const struct packet *p)
{
	struct v4_error e;

	/* A header with options would not fit; its sender waits in vain. */
	if (p->l4 != ETH_HLEN + sizeof(e.about) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &e.about, sizeof(e.about) + QUOTE))
		return -1;
	__builtin_memset(&e.icmp, 0, sizeof(e.icmp));
	head_v4(&e.ip, p, IPPROTO_ICMP, sizeof(e) - sizeof(e.ip));
	e.icmp.type = ICMP_DEST_UNREACH;
	e.icmp.code = ICMP_PKT_FILTERED;
	e.icmp.checksum = sum_of(&e.icmp, sizeof(e) - sizeof(e.ip), 0);
	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(e), 0))
		return -1;
	return bpf_skb_store_bytes(skb, ETH_HLEN, &e, sizeof(e), 0);
}

static __always_inline int make_prohibited_v6(struct __sk_buff *skb, const struct packet *p)
{
	struct v6_error e;
	__u32 size = sizeof(e) - sizeof(e.ip);

	if (p->l4 != ETH_HLEN + sizeof(e.about) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &e.about, sizeof(e.about) + QUOTE))
		return -1;
	__builtin_memset(&e.icmp, 0, sizeof(e.icmp));
	head_v6(&e.ip, p, IPPROTO_ICMPV6, size);
	e.icmp.type = ICMPV6_DEST_UNREACH;
	e.icmp.code = ICMPV6_ADM_PROHIBITED;
	e.icmp.checksum = sum_of(&e.icmp, size, pseudo(p, IPPROTO_ICMPV6, size));
	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(e), 0))
		return -1;
	return bpf_skb_store_bytes(skb, ETH_HLEN, &e, sizeof(e), 0);
}

/**
 * answer - make a refused packet its own answer and send it back
 * @flags: BPF_F_INGRESS when the packet was on its way out of the device
 *
 * The answer carries a number that only our programs know, by which they let it pass. ICMP is
 * answered by silence (RFC 1122, 3.2.2), and so is an RST.
 *
 * Returns what the program has to return.
 */
__noinline int answer(struct __sk_buff *skb, const struct packet *p, __u32 flags)
{
	int err;

	if (!p)
		return TC_ACT_SHOT;
	if (p->kind != PACKET_FLOW || p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		return TC_ACT_SHOT;
	if (p->proto == IPPROTO_TCP)
		err = make_reset(skb, p);
	else if (p->family == 4)
		err = make_prohibited_v4(skb, p);
	else
		err = make_prohibited_v6(skb, p);
	if (err || turn_link(skb))
		return TC_ACT_SHOT;
	skb->cb[0] = answer_nonce;
	skb->cb[1] = answer_nonce >> 32;
	return bpf_redirect(skb->ifindex, flags);
}

/* Whether a program of ours made this packet. */
static __always_inline int is_answer(const struct __sk_buff *skb)
{
	return answer_nonce && skb->cb[0] == (__u32)answer_nonce &&
	       skb->cb[1] == (__u32)(answer_nonce >> 32);
}

#endif
