/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Live flows: found by either direction, judged again by each new generation, forgotten in time. */
#ifndef MPOL_CONNTRACK_H
#define MPOL_CONNTRACK_H

#include "event.h"

#define SECOND 1000000000ULL
#define IDLE_TCP (24 * 3600 * SECOND)
#define IDLE_CLOSED (10 * SECOND)
#define IDLE_OTHER (180 * SECOND)

/* What a hook knows of a packet besides its bytes. */
struct context {
	struct packet packet;
	__u32 generation;
	__u32 self;    /* workload whose hook it is, 0: none */
	__u8 hook;     /* enum hook */
	__u8 out;      /* the workload is the sender, else the receiver */
	__u8 reply;    /* set by track(): the sender is the server */
	__u8 flags;    /* set by track(): ENTRY_REJECT where a denial is to be answered */
	__u16 leg;     /* set by track(): FLOW_LEG and FLOW_BORROWED of the flow */
	__u16 l7_port; /* set by track() */
	__u32 length;  /* of the packet, in bytes */
	__u64 now;     /* nanoseconds of coarse_time() */
};

static __always_inline int below(const struct tuple *t)
{
	for (int i = 0; i < 2; i++) {
		__u64 x = ((const __u64 *)&t->src)[i], y = ((const __u64 *)&t->dst)[i];

		if (x != y)
			return x < y;
	}
	return t->sport < t->dport;
}

/* Builds the key of a packet's flow; returns whether the sender is end a. */
static __always_inline int set_key(struct flow_key *key, const struct packet *p)
{
	const struct tuple *t = &p->tuple;
	int from_a = below(t);

	__builtin_memset(key, 0, sizeof(*key));
	key->a = from_a ? t->src : t->dst;
	key->b = from_a ? t->dst : t->src;
	key->a_port = from_a ? t->sport : t->dport;
	key->b_port = from_a ? t->dport : t->sport;
	key->proto = t->proto;
	if (p->side)
		key->side = (p->side == 1) == from_a ? 1 : 2;
	return from_a;
}

static __always_inline int expired(const struct flow *f, __u8 proto, __u64 now)
{
	__u64 limit = proto != IPPROTO_TCP   ? IDLE_OTHER :
		      f->flags & FLOW_CLOSED ? IDLE_CLOSED :
					       IDLE_TCP;

	return now - f->last > limit;
}

/*
 * Whether an entry speaks of this packet: it lives, the workload of the hook is the one of its
 * end, and the packet does not ask for a connection anew.
 */
static __always_inline int belongs(const struct flow *f, const struct context *c)
{
	const struct packet *p = &c->packet;
	/* The workload at this hook is the client if it sends forward or receives a reply. */
	__u32 end = c->out != c->reply ? f->client : f->server;

	if (expired(f, p->tuple.proto, c->now))
		return 0;
	if (opens(p) && (c->reply || (f->flags & FLOW_REPLIED)))
		return 0;
	/* Nobody of this node sends from outside. */
	if (c->hook == HOOK_FROM_UPLINK && (c->reply ? f->server : f->client))
		return 0;
	return !c->self || c->self == end;
}

/*
 * An ICMP error about no flow of ours and an echo reply that nobody asked for are packets of their
 * own. Returns whether the packet was taken for more.
 */
static __always_inline int demote(struct packet *p)
{
	if (p->kind == PACKET_RELATED)
		p->tuple.src = p->outer;
	else if (p->side != 2)
		return 0;
	p->kind = PACKET_FLOW;
	p->side = 0;
	p->tuple.proto = p->proto;
	p->tuple.sport = 0;
	p->tuple.dport = p->port;
	return 1;
}

/**
 * find_flow - the live entry that a packet belongs to
 *
 * Sets @key, and @c->reply where there is an entry. Returns the entry or NULL.
 */
static __always_inline struct flow *find_flow(struct flow_key *key, struct context *c)
{
	int from_a = set_key(key, &c->packet);
	struct flow *f = bpf_map_lookup_elem(&flows, key);

	if (!f && demote(&c->packet)) {
		from_a = set_key(key, &c->packet);
		f = bpf_map_lookup_elem(&flows, key);
	}
	if (!f)
		return 0;
	c->reply = from_a != !!(f->flags & FLOW_FROM_A);
	if (!belongs(f, c)) {
		c->reply = 0;
		return 0;
	}
	return f;
}

/* Counts a packet of a live flow. */
static __always_inline void touch(struct flow *f, const struct context *c)
{
	__u8 tcp = c->packet.kind == PACKET_FLOW ? c->packet.tcp : 0;
	__u16 flags = f->flags;

	if (c->reply)
		flags |= FLOW_REPLIED;
	if (tcp & TCP_FIN)
		flags |= c->reply ? FLOW_FIN_SERVER : FLOW_FIN_CLIENT;
	if ((tcp & TCP_RST) ||
	    (flags & (FLOW_FIN_CLIENT | FLOW_FIN_SERVER)) == (FLOW_FIN_CLIENT | FLOW_FIN_SERVER))
		flags |= FLOW_CLOSED;
	if (flags != f->flags)
		f->flags = flags;
	f->last = c->now;
	__sync_fetch_and_add(&f->packets, 1);
	__sync_fetch_and_add(&f->bytes, c->length);
}

/* Where the workload of a hook stands on the flow that a question is about. */
static __always_inline __u32 self_at(const struct context *c, int client)
{
	int self_is_client = c->out != c->reply;

	return self_is_client == client ? c->self : 0;
}

/**
 * ask - put the question about a packet's flow
 * @f: the live entry, or NULL
 *
 * Host workloads are known by their sockets: at their own hook, whatever address they use there, by
 * the entry, or by the socket that would receive the packet. At an uplink only a packet that opens
 * a connection is worth that look-up: it may have to go to a proxy. All others are judged at the
 * socket. Returns 0.
 */
__noinline int ask(struct __sk_buff *skb, struct question *q, const struct context *c,
		   const struct flow *f)
{
	const struct addr *client, *server;
	const struct packet *p;
	int at_socket;
	__u32 w;

	if (!q || !c)
		return 0;
	p = &c->packet;
	client = c->reply ? &p->tuple.dst : &p->tuple.src;
	server = c->reply ? &p->tuple.src : &p->tuple.dst;
	at_socket = c->hook == HOOK_SOCKET_OUT || c->hook == HOOK_SOCKET_IN;
	__builtin_memset(q, 0, sizeof(*q));
	q->generation = c->generation;
	q->proto = p->tuple.proto;
	q->port = c->reply ? p->tuple.sport : p->tuple.dport;
	q->kept = f ? f->name : 0;
	classify(client, c->generation, &q->client);
	classify(resolved(server), c->generation, &q->server);
	w = at_socket ? self_at(c, 1) : 0;
	if (w || (q->client.flags & PARTY_NODE)) {
		if (!w && f && (f->flags & FLOW_CLIENT_SOCKET))
			w = f->client;
		if (!w && !f && c->hook == HOOK_TO_WORKLOAD && !c->reply)
			w = packet_workload(skb, c->generation);
		classify_socket(&q->client, w, c->generation);
	}
	w = at_socket ? self_at(c, 0) : 0;
	if (w || (q->server.flags & PARTY_NODE)) {
		if (!w && f && (f->flags & FLOW_SERVER_SOCKET))
			w = f->server;
		if (!w && !f && !c->reply && c->hook != HOOK_SOCKET_IN &&
		    (c->hook != HOOK_FROM_UPLINK || opens(p)))
			w = receiver_workload(skb, p, c->generation);
		classify_socket(&q->server, w, c->generation);
	}
	return 0;
}

#endif
