/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Handing packets to the sockets of our proxies; only at tcx ingress. */
#ifndef MPOL_REDIRECT_H
#define MPOL_REDIRECT_H

#include "track.h"

/* Gives the packet to a socket if a process of ours holds it. Releases @sk. */
static __always_inline int assign(struct __sk_buff *skb, struct bpf_sock *sk)
{
	int err = -DROP_NO_LISTENER;

	if (is_proxy(socket_cgroup_id(sk)) && !bpf_sk_assign(skb, sk, 0)) {
		skb->mark = mark_redirect;
		err = 0;
	}
	bpf_sk_release(sk);
	return err;
}

/**
 * assign_established - hand a TCP packet to the connection of a proxy that has its ends
 *
 * Returns 0 or minus a drop reason.
 */
__noinline int assign_established(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 size;

	if (!p)
		return -DROP_NO_LISTENER;
	size = socket_tuple(&t, p);
	sk = bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return -DROP_NO_LISTENER;
	if (sk->state == BPF_TCP_LISTEN || sk->state == BPF_TCP_TIME_WAIT) {
		bpf_sk_release(sk);
		return -DROP_NO_LISTENER;
	}
	return assign(skb, sk);
}

/* Hands a packet to the listener of a proxy. Returns 0 or minus a drop reason. */
__noinline int assign_listener(struct __sk_buff *skb, const struct packet *p, __u16 port)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 size;

	if (!p)
		return -DROP_NO_LISTENER;
	size = socket_tuple(&t, p);
	if (p->family == 4) {
		t.ipv4.daddr = *(const volatile __u32 *)&listener_v4.byte[12];
		t.ipv4.dport = bpf_htons(port);
	} else {
		for (int i = 0; i < 4; i++)
			t.ipv6.daddr[i] = ((const volatile __u32 *)&listener_v6)[i];
		t.ipv6.dport = bpf_htons(port);
	}
	if (p->proto == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return -DROP_NO_LISTENER;
	return assign(skb, sk);
}

/**
 * redirect - hand a packet of a redirected flow to its proxy
 *
 * A connection's packets go to the connection, only what opens one goes to the listener.
 * Returns 0 or minus a drop reason.
 */
static __always_inline int redirect(struct __sk_buff *skb, const struct packet *p, __u16 port)
{
	/* An ICMP error finds its socket by itself, here: the server is not to get it. */
	if (p->kind != PACKET_FLOW) {
		skb->mark = mark_redirect;
		return 0;
	}
	if (p->proto == IPPROTO_TCP) {
		if (!assign_established(skb, p))
			return 0;
		if (!opens(p))
			return -DROP_NO_LISTENER;
	} else if (p->proto != IPPROTO_UDP)
		return -DROP_NO_LISTENER;
	return assign_listener(skb, p, port);
}

#endif
