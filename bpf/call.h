/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a socket is about to do: its ends as the kernel will choose them, and the verdict on the
 * packet that it would send.
 */
#ifndef MPOL_CALL_H
#define MPOL_CALL_H

#include "event.h"

#define AF_INET 2

/* What a hook asks about: the flow as if its first packet were seen. */
struct call {
	struct packet packet;
	struct question question;
	struct judgement judgement;
	int sure; /* the source is known, so that an ingress denial is certain */
	int own;  /* the receiver is a process of ours */
};

/*
 * Addresses are 16 bytes as everywhere, IPv4 as ::ffff:a.b.c.d, which is also how a v4-mapped
 * destination comes. @v4 says which hook it is: each may touch the fields of its family alone.
 */
static __always_inline void read_addr(struct bpf_sock_addr *ctx, int v4, struct addr *to)
{
	__u32 *word = (__u32 *)to;

	if (v4) {
		set_v4(to, ctx->user_ip4);
		return;
	}
	word[0] = ctx->user_ip6[0];
	word[1] = ctx->user_ip6[1];
	word[2] = ctx->user_ip6[2];
	word[3] = ctx->user_ip6[3];
}

static __always_inline void write_addr(struct bpf_sock_addr *ctx, int v4, const struct addr *from)
{
	const __u32 *word = (const __u32 *)from;

	if (v4) {
		ctx->user_ip4 = word[3];
		return;
	}
	ctx->user_ip6[0] = word[0];
	ctx->user_ip6[1] = word[1];
	ctx->user_ip6[2] = word[2];
	ctx->user_ip6[3] = word[3];
}

/* The address that a socket is bound to. */
static __always_inline void read_source(struct bpf_sock_addr *ctx, struct addr *to)
{
	struct bpf_sock *sk = ctx->sk;
	__u32 *word = (__u32 *)to;

	if (ctx->family == AF_INET) {
		set_v4(to, sk->src_ip4);
		return;
	}
	word[0] = sk->src_ip6[0];
	word[1] = sk->src_ip6[1];
	word[2] = sk->src_ip6[2];
	word[3] = sk->src_ip6[3];
}

static __always_inline int is_v4(const struct addr *a)
{
	const __u32 *word = (const __u32 *)a;

	return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
}

static __always_inline int is_any(const struct addr *a)
{
	const __u32 *word = (const __u32 *)a;

	return !word[3] && !word[0] && !word[1] && (!word[2] || is_v4(a));
}

static __always_inline void set_loopback(struct addr *to, int v4)
{
	__builtin_memset(to, 0, sizeof(*to));
	if (v4)
		set_v4(to, bpf_htonl(0x7f000001));
	else
		to->byte[15] = 1;
}

/*
 * Fills in both ends as the kernel will choose them. Where it asks a route for the source, the one
 * of a looped flow is taken: then the packets that a redirect makes are judged alike.
 */
static __always_inline void read_ends(struct bpf_sock_addr *ctx, int v4, struct call *c)
{
	struct tuple *t = &c->packet.tuple;
	struct party there;

	t->proto = ctx->protocol;
	t->sport = ctx->sk->src_port;
	t->dport = bpf_ntohs(ctx->user_port);
	read_source(ctx, &t->src);
	read_addr(ctx, v4, &t->dst);
	if (is_any(&t->dst)) {
		if (v4 && !is_any(&t->src))
			t->dst = t->src;
		else
			set_loopback(&t->dst, is_v4(&t->dst) || is_v4(&t->src));
	}
	t->dst = *resolved(&t->dst);
	c->packet.family = is_v4(&t->dst) ? 4 : 6;
	c->packet.proto = t->proto;
	c->sure = 1;
	if (!is_any(&t->src))
		return;
	classify(&t->dst, c->question.generation, &there);
	c->sure = there.flags & PARTY_NODE;
	if (c->sure && !(c->packet.family == 4 && t->dst.byte[12] == 127))
		t->src = t->dst;
	else
		set_loopback(&t->src, c->packet.family == 4);
}

/*
 * Makes the server the host workload whose socket would receive what is sent to an address of the
 * node, and notes whether it is a process of ours.
 */
static __always_inline void find_receiver(struct bpf_sock_addr *ctx, struct call *c)
{
	struct question *q = &c->question;
	struct bpf_sock_tuple t = {};
	__u32 size = socket_tuple(&t, &c->packet);
	struct bpf_sock *sk;
	__u32 w;

	if (ctx->protocol == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return;
	c->own = is_proxy(socket_cgroup_id(sk));
	w = socket_workload(sk, q->generation);
	bpf_sk_release(sk);
	classify_socket(&q->server, w, q->generation);
}

static __always_inline int deny(struct call *c, __u8 reason)
{
	c->judgement.reason = reason;
	return c->judgement.verdict = VERDICT_DENY;
}

/**
 * ask_call - the verdict on what a socket is about to do
 *
 * A proxy of ours takes what is redirected to it. Called by its own address it would take itself
 * for the server and call itself without end, so that is denied whatever the policy says.
 *
 * Returns the verdict; c->judgement says more.
 */
static __always_inline int ask_call(struct bpf_sock_addr *ctx, int v4, struct call *c)
{
	struct question *q = &c->question;
	const struct tuple *t = &c->packet.tuple;
	int verdict;
	__u32 w;

	__builtin_memset(c, 0, sizeof(*c));
	q->generation = read_generation();
	read_ends(ctx, v4, c);
	q->proto = t->proto;
	q->port = t->dport;
	w = socket_workload(ctx->sk, q->generation);
	if (!w) {
		c->judgement.half = HALF_NONE;
		return deny(c, DROP_UNKNOWN_WORKLOAD);
	}
	classify(&t->src, q->generation, &q->client);
	classify_socket(&q->client, w, q->generation);
	classify(&t->dst, q->generation, &q->server);
	if (q->server.flags & PARTY_NODE)
		find_receiver(ctx, c);
	verdict = judge(q, &t->dst, &c->judgement);
	if (c->own && verdict == VERDICT_ALLOW) {
		c->sure = 1;
		return deny(c, DROP_NOT_PROXIED);
	}
	return verdict;
}

/* A denial is certain unless it rests on a source that the kernel has not chosen yet. */
static __always_inline int certain(const struct call *c)
{
	return c->sure || c->judgement.half != HALF_INGRESS;
}

#endif
