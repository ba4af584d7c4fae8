// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/*
 * The socket-address hooks of host workloads, attached at cgroup_root. They steer and answer early;
 * what they let pass is judged again, packet by packet, by the programs that see it.
 *
 *   connect   TCP: refuses what is certainly denied, leads a redirect through lo by a mark.
 *             UDP: sends nothing and so refuses nothing; leads DNS to the resolver's alias.
 *   sendmsg   a datagram with a destination of its own: both. An AF_INET6 socket comes to connect6
 *             with a v4-mapped address, but to sendmsg4.
 *   recvmsg, getpeername   show the resolver where the kernel has its alias.
 */
#include "event.h"

#define AF_INET 2
#define SOL_SOCKET 1
#define SO_MARK 36
#define ECONNREFUSED 111
#define LOOPBACK_IFINDEX 1

/* Returned to the kernel by a hook. */
#define HOOK_REFUSE 0 /* -EPERM, unless bpf_set_retval said another */
#define HOOK_PASS 1

/* What a hook asks about: the flow as if its first packet were seen. */
struct call {
	struct packet packet;
	struct question question;
	struct judgement judgement;
	int sure; /* the source is known, so that an ingress denial is certain */
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
	if (c->sure)
		t->src = t->dst;
	else
		set_loopback(&t->src, c->packet.family == 4);
}

/* The host workload whose socket would receive what is sent to an address of the node. */
static __always_inline __u32 peer_workload(struct bpf_sock_addr *ctx, const struct call *c)
{
	struct bpf_sock_tuple t = {};
	__u32 size = socket_tuple(&t, &c->packet);
	struct bpf_sock *sk;
	__u32 w;

	if (ctx->protocol == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	w = socket_workload(sk, c->question.generation);
	bpf_sk_release(sk);
	return w;
}

/**
 * ask_call - the verdict on what a socket is about to do
 *
 * Returns the verdict; c->judgement says more.
 */
static __always_inline int ask_call(struct bpf_sock_addr *ctx, int v4, struct call *c)
{
	struct question *q = &c->question;
	const struct tuple *t = &c->packet.tuple;
	__u32 w;

	__builtin_memset(c, 0, sizeof(*c));
	q->generation = read_generation();
	read_ends(ctx, v4, c);
	q->proto = t->proto;
	q->port = t->dport;
	w = socket_workload(ctx->sk, q->generation);
	if (!w) {
		c->judgement.reason = DROP_UNKNOWN_WORKLOAD;
		c->judgement.half = HALF_NONE;
		c->sure = 1;
		return c->judgement.verdict = VERDICT_DENY;
	}
	classify(&t->src, q->generation, &q->client);
	classify_socket(&q->client, w, q->generation);
	classify(&t->dst, q->generation, &q->server);
	if (q->server.flags & PARTY_NODE)
		classify_socket(&q->server, peer_workload(ctx, c), q->generation);
	return judge(q, &t->dst, &c->judgement);
}

/* A denial is certain unless it rests on a source that the kernel has not chosen yet. */
static __always_inline int certain(const struct call *c)
{
	return c->sure || c->judgement.half != HALF_INGRESS;
}

/* Counts and reports a denial and gives the caller its errno. */
static __always_inline int refuse_call(struct call *c)
{
	struct judgement *j = &c->judgement;

	j->verdict = VERDICT_DENY;
	count_drop(j->reason);
	record(&c->packet, &c->question, j, HOOK_CONNECT, 0);
	if (reject_all || (j->flags & ENTRY_REJECT))
		bpf_set_retval(-ECONNREFUSED);
	return HOOK_REFUSE;
}

/* A socket bound to a device would send past lo, where the proxies take their flows. */
static __always_inline int avoids_loopback(struct bpf_sock_addr *ctx)
{
	__u32 device = ctx->sk->bound_dev_if;

	return device && device != LOOPBACK_IFINDEX;
}

/*
 * Gives a socket the mark of a redirect or takes it away again: a socket may be connected twice.
 * Returns 0 or an error.
 */
static __always_inline int set_loop(struct bpf_sock_addr *ctx, int loop)
{
	__u32 mark = loop ? mark_loop : 0;

	if (!loop && ctx->sk->mark != mark_loop)
		return 0;
	return bpf_setsockopt(ctx, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

static __always_inline int connect_tcp(struct bpf_sock_addr *ctx, int v4)
{
	struct call c;
	int verdict = ask_call(ctx, v4, &c);

	if (verdict == VERDICT_DENY && certain(&c))
		return refuse_call(&c);
	if (verdict == VERDICT_REDIRECT && avoids_loopback(ctx)) {
		c.judgement.reason = DROP_NOT_PROXIED;
		return refuse_call(&c);
	}
	if (set_loop(ctx, verdict == VERDICT_REDIRECT)) {
		c.judgement.reason = DROP_NOT_PROXIED;
		return refuse_call(&c);
	}
	return HOOK_PASS;
}

#define ALIAS_TRIES 8

/**
 * alias_of - the alias on lo that stands for a resolver
 *
 * The place is a hash of the address, so that every process and every generation finds the same
 * one; the first to ask writes it down. Returns 0, or -1 where no place is free.
 */
static __always_inline int alias_of(const struct addr *resolver, struct addr *alias)
{
	const __u32 *word = (const __u32 *)resolver;
	__u32 hash = word[0];
	int v4 = is_v4(resolver);

	for (int i = 1; i < 4; i++)
		hash = hash * 0x9e3779b1 + word[i];
	hash *= 0x9e3779b1;
	hash >>= 16;
	set_loopback(alias, v4);
	if (v4) {
		alias->byte[13] = 77;
	} else {
		alias->byte[0] = 0xfd;
		alias->byte[1] = 0x6d;
		alias->byte[2] = 0x70;
		alias->byte[3] = 0x6f;
		alias->byte[5] = 0x6c;
	}
	for (int i = 0; i < ALIAS_TRIES; i++) {
		const struct addr *taken;
		__u32 place = hash + i;

		alias->byte[14] = place >> 8;
		alias->byte[15] = place;
		bpf_map_update_elem(&aliases, alias, resolver, BPF_NOEXIST);
		taken = bpf_map_lookup_elem(&aliases, alias);
		if (taken && same_addr(taken, resolver))
			return 0;
	}
	return -1;
}

/* Leads a datagram for the DNS proxy to the alias of its resolver; returns 0 or minus a reason. */
static __always_inline int lead_dns(struct bpf_sock_addr *ctx, int v4, const struct call *c)
{
	struct addr alias;

	if (c->judgement.l7 != L7_DNS || avoids_loopback(ctx))
		return -DROP_NOT_PROXIED;
	if (alias_of(&c->packet.tuple.dst, &alias))
		return -DROP_NO_ENTRY;
	write_addr(ctx, v4, &alias);
	return 0;
}

static __always_inline int connect_udp(struct bpf_sock_addr *ctx, int v4)
{
	struct call c;

	if (ask_call(ctx, v4, &c) == VERDICT_REDIRECT)
		lead_dns(ctx, v4, &c);
	return HOOK_PASS;
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, int v4)
{
	if (bpf_get_netns_cookie(ctx) != netns_cookie)
		return HOOK_PASS;
	if (ctx->protocol == IPPROTO_TCP)
		return connect_tcp(ctx, v4);
	if (ctx->protocol == IPPROTO_UDP)
		return connect_udp(ctx, v4);
	return HOOK_PASS;
}

static __always_inline int on_sendmsg(struct bpf_sock_addr *ctx, int v4)
{
	struct call c;
	int verdict, err;

	if (bpf_get_netns_cookie(ctx) != netns_cookie || ctx->protocol != IPPROTO_UDP)
		return HOOK_PASS;
	verdict = ask_call(ctx, v4, &c);
	if (verdict == VERDICT_DENY && certain(&c))
		return refuse_call(&c);
	if (verdict != VERDICT_REDIRECT)
		return HOOK_PASS;
	err = lead_dns(ctx, v4, &c);
	if (err) {
		c.judgement.reason = -err;
		return refuse_call(&c);
	}
	return HOOK_PASS;
}

/* Shows a resolver by its own address: what a datagram came from, what a socket is connected to. */
static __always_inline int show_resolver(struct bpf_sock_addr *ctx, int v4)
{
	struct addr shown;
	const struct addr *real;

	if (bpf_get_netns_cookie(ctx) != netns_cookie)
		return HOOK_PASS;
	read_addr(ctx, v4, &shown);
	real = resolved(&shown);
	if (real != &shown)
		write_addr(ctx, v4, real);
	return HOOK_PASS;
}

SEC("cgroup/connect4")
int socket_connect4(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, 1);
}

SEC("cgroup/connect6")
int socket_connect6(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, 0);
}

SEC("cgroup/sendmsg4")
int socket_sendmsg4(struct bpf_sock_addr *ctx)
{
	return on_sendmsg(ctx, 1);
}

SEC("cgroup/sendmsg6")
int socket_sendmsg6(struct bpf_sock_addr *ctx)
{
	return on_sendmsg(ctx, 0);
}

SEC("cgroup/recvmsg4")
int socket_recvmsg4(struct bpf_sock_addr *ctx)
{
	return show_resolver(ctx, 1);
}

SEC("cgroup/recvmsg6")
int socket_recvmsg6(struct bpf_sock_addr *ctx)
{
	return show_resolver(ctx, 0);
}

SEC("cgroup/getpeername4")
int socket_getpeername4(struct bpf_sock_addr *ctx)
{
	return show_resolver(ctx, 1);
}

SEC("cgroup/getpeername6")
int socket_getpeername6(struct bpf_sock_addr *ctx)
{
	return show_resolver(ctx, 0);
}
