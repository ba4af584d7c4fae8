/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network namespace of a socket's packet. The helper for it came to cgroup_skb in Linux 6.15.
 */
#ifndef MPOL_NETNS_H
#define MPOL_NETNS_H

#include "maps.h"

/* Parts of the kernel's types; the loader finds the offsets in the running kernel's BTF. */
struct net___netns {
	__u64 net_cookie;
} __attribute__((preserve_access_index));

struct possible_net___netns {
	struct net___netns *net;
};

struct sock_common___netns {
	struct possible_net___netns skc_net;
} __attribute__((preserve_access_index));

struct sock___netns {
	struct sock_common___netns __sk_common;
} __attribute__((preserve_access_index));

struct sk_buff___netns {
	struct sock___netns *sk;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *) __ksym;

/* Whether a packet at a cgroup_skb hook is one of the agent's network namespace. */
static __always_inline int is_our_netns(struct __sk_buff *ctx)
{
	struct sk_buff___netns *skb = bpf_cast_to_kern_ctx(ctx);
	struct sock___netns *sk = skb->sk;

	return sk && sk->__sk_common.skc_net.net->net_cookie == netns_cookie;
}

#endif
