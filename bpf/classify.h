/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From addresses, devices and cgroups to parties: who is at an end of a packet. */
#ifndef MPOL_CLASSIFY_H
#define MPOL_CLASSIFY_H

#include "cgroup.h"
#include "maps.h"
#include "parse.h"

/* The generation that judges this packet; read it once. */
static __always_inline __u32 read_generation(void)
{
	__u32 zero = 0, *g = bpf_map_lookup_elem(&generation, &zero);

	return g ? *(volatile __u32 *)g : 0;
}

/* The coarse clock of flows, in nanoseconds; a read of the exact one would cost as much as a map.
 */
static __always_inline __u64 coarse_time(void)
{
	return bpf_jiffies64() * tick;
}

static __always_inline __u32 turned(const struct turn *t, __u32 gen)
{
	return !t ? 0 : gen >= t->from ? t->next : t->now;
}

/**
 * classify - who uses an address
 *
 * Fills @who with zeroes where nobody is known, which is so before the first generation only.
 */
static __always_inline void classify(const struct addr *a, __u32 gen, struct party *who)
{
	struct owner *o = bpf_map_lookup_elem(&addresses_exact, a);

	if (!o) {
		struct prefix key = { .length = 128 };

		__builtin_memcpy(&key.addr, a, 16);
		o = bpf_map_lookup_elem(&addresses_lpm, &key);
	}
	if (o)
		*who = gen >= o->from ? o->next : o->now;
	else
		__builtin_memset(who, 0, sizeof(*who));
}

/* Makes the party at an address of the node a host workload; 0 leaves it as it is. */
static __always_inline void classify_socket(struct party *who, __u32 workload, __u32 gen)
{
	struct socket_key key = { .workload = workload, .cell = who->cell };

	if (!workload)
		return;
	who->workload = workload;
	who->flags |= PARTY_SOCKET;
	who->identity = turned(bpf_map_lookup_elem(&sockets, &key), gen);
}

static __always_inline __u32 device_workload(__u32 ifindex, __u32 gen)
{
	return turned(bpf_map_lookup_elem(&devices, &ifindex), gen);
}

static __always_inline __u32 cgroup_workload(__u64 id, __u32 gen)
{
	return id ? turned(bpf_map_lookup_elem(&cgroups, &id), gen) : 0;
}

/* How far below cgroup_root the folder of a workload may lie above the folder of its socket. */
#define CGROUP_LEVELS 8

/* The host workload of the socket that a packet belongs to: of its cgroup or the nearest above. */
static __always_inline __u32 packet_workload(struct __sk_buff *skb, __u32 gen)
{
	__u32 w = cgroup_workload(bpf_skb_cgroup_id(skb), gen);

	for (int i = CGROUP_LEVELS; i > 0 && !w; i--)
		w = cgroup_workload(bpf_skb_ancestor_cgroup_id(skb, cgroup_level + i), gen);
	return w;
}

/* The same for a socket. */
static __always_inline __u32 socket_workload(struct bpf_sock *sk, __u32 gen)
{
	struct cgroup *c = socket_cgroup(sk);
	__u32 w = 0;

	for (int i = 0; i <= 2 * CGROUP_LEVELS && !w && c->level > (int)cgroup_level; i++) {
		w = cgroup_workload(c->kn->id, gen);
		c = parent_cgroup(c);
	}
	return w;
}

/* Whether a cgroup is that of a process of ours. */
static __always_inline int is_proxy(__u64 cgroup)
{
	return cgroup && (cgroup == proxy_cgroups[0] || cgroup == proxy_cgroups[1] ||
			  cgroup == proxy_cgroups[2] || cgroup == proxy_cgroups[3]);
}

/* Writes the ends of a packet as the socket look-up wants them; returns the size of the tuple. */
static __always_inline __u32 socket_tuple(struct bpf_sock_tuple *to, const struct packet *p)
{
	const struct tuple *t = &p->tuple;

	if (p->family == 4) {
		__builtin_memcpy(&to->ipv4.saddr, &t->src.byte[12], 4);
		__builtin_memcpy(&to->ipv4.daddr, &t->dst.byte[12], 4);
		to->ipv4.sport = bpf_htons(t->sport);
		to->ipv4.dport = bpf_htons(t->dport);
		return sizeof(to->ipv4);
	}
	__builtin_memcpy(&to->ipv6.saddr, &t->src, 16);
	__builtin_memcpy(&to->ipv6.daddr, &t->dst, 16);
	to->ipv6.sport = bpf_htons(t->sport);
	to->ipv6.dport = bpf_htons(t->dport);
	return sizeof(to->ipv6);
}

/* The host workload whose socket would receive a packet to an address of the node. */
static __always_inline __u32 receiver_workload(struct __sk_buff *skb, const struct packet *p,
					       __u32 gen)
{
	struct bpf_sock_tuple t = {};
	__u32 size = socket_tuple(&t, p);
	struct bpf_sock *sk;
	__u32 w;

	if (p->proto == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	else if (p->proto == IPPROTO_UDP)
		sk = bpf_sk_lookup_udp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sk)
		return 0;
	w = socket_workload(sk, gen);
	bpf_sk_release(sk);
	return w;
}

/* Whether an address is one of those on lo that may stand for a resolver. */
static __always_inline int is_alias(const struct addr *a)
{
	const __u32 *word = (const __u32 *)a;

	if (word[0] == bpf_htonl(0xfd6d706f) && word[1] == bpf_htonl(0x006c0000))
		return 1;
	return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff) && a->byte[12] == 127 &&
	       a->byte[13] == 77;
}

/* The address that policies know: an alias stands for its resolver. */
static __always_inline const struct addr *resolved(const struct addr *a)
{
	const struct addr *real;

	if (!is_alias(a))
		return a;
	real = bpf_map_lookup_elem(&aliases, a);
	return real ? real : a;
}

#endif
