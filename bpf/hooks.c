// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//go:build ignore

/*
 * The socket-address hooks of host workloads, attached at cgroup_root. They steer and answer early;
 * what they let pass is judged again, packet by packet, by the programs that see it.
 *
 *   connect   TCP: refuses what is certainly denied, leads a redirect through lo by a mark.
 *             UDP: sends nothing and so refuses nothing; leads DNS to the resolver's alias.
 *   sendmsg   a datagram with a destination of its own: both. An AF_INET6 socket comes to connect6
 *             with a v4-mapped address, but to sendmsg4, and there with every datagram, connected
 *             or not: the destination may then be an alias already.
 *   recvmsg, getpeername   show the resolver where the kernel has its alias.
 */
#include "call.h"

#define SOL_SOCKET 1
#define SO_MARK 36
#define ECONNREFUSED 111
#define LOOPBACK_IFINDEX 1

/* Returned to the kernel by a hook. */
#define HOOK_REFUSE 0 /* -EPERM, unless bpf_set_retval said another */
#define HOOK_PASS 1

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
		taken = bpf_map_lookup_elem(&aliases, alias);
		if (!taken) {
			/* Another processor may be first; then this place is not free any more. */
			bpf_map_update_elem(&aliases, alias, resolver, BPF_NOEXIST);
			taken = bpf_map_lookup_elem(&aliases, alias);
		}
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
