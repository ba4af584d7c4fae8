/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet's verdict: that of its live flow, or a new judgement that makes, keeps or ends one. */
#ifndef MPOL_TRACK_H
#define MPOL_TRACK_H

#include "conntrack.h"

/* Writes down an allowed flow. Returns 0 or minus a drop reason. */
__noinline int remember(const struct flow_key *key, const struct context *c,
			const struct question *q, const struct judgement *j, __u16 flags)
{
	struct flow f = { .flags = flags, .packets = 1 };

	if (!key || !c || !q || !j)
		return -DROP_NO_ENTRY;
	f.generation = c->generation;
	f.rule = j->rule;
	f.client = q->client.workload;
	f.server = q->server.workload;
	f.name = j->name;
	f.l7_port = j->l7_port;
	f.verdict = j->verdict;
	f.half = j->half;
	f.l7 = j->l7;
	f.hook = c->hook;
	f.last = c->now;
	f.bytes = c->length;
	if (below(&c->packet.tuple) != !!c->reply)
		f.flags |= FLOW_FROM_A;
	if (c->reply)
		f.flags |= FLOW_REPLIED;
	if (q->client.flags & PARTY_SOCKET)
		f.flags |= FLOW_CLIENT_SOCKET;
	if (q->server.flags & PARTY_SOCKET)
		f.flags |= FLOW_SERVER_SOCKET;
	return bpf_map_update_elem(&flows, key, &f, BPF_ANY) ? -DROP_NO_ENTRY : 0;
}

/* Reports a packet that nobody judged by what is known of it. Returns 0. */
__noinline int report_early(const struct context *c, __u8 reason)
{
	struct judgement j = { .half = HALF_NONE, .reason = reason };
	struct question q = {};

	if (!c)
		return 0;
	q.generation = c->generation;
	q.port = c->packet.tuple.dport;
	if (c->out)
		q.client.workload = c->self;
	else
		q.server.workload = c->self;
	return report(&c->packet, &q, &j, c->hook, 0);
}

/* Whether the sender may not use its address. */
static __always_inline int spoofs(const struct context *c, struct question *q)
{
	struct party *sender = c->reply ? &q->server : &q->client;
	const struct tuple *t = &c->packet.tuple;

	if (c->hook == HOOK_FROM_UPLINK)
		return sender->flags & (PARTY_LOCAL | PARTY_NODE);
	if (c->hook == HOOK_SOCKET_OUT)
		return sender->flags & PARTY_LOCAL;
	if (c->hook != HOOK_FROM_WORKLOAD || sender->workload == c->self)
		return 0;
	/* DHCP comes from 0.0.0.0 before the workload has an address. */
	if (c->packet.family == 4 && t->proto == IPPROTO_UDP && t->sport == 68 && t->dport == 67 &&
	    !*(const __u32 *)&t->src.byte[12]) {
		sender->workload = c->self;
		return 0;
	}
	return 1;
}

/* The same for the sender of an ICMP error, which need not be an end of the flow. */
__noinline int spoofs_error(const struct context *c)
{
	struct party sender;

	if (!c || c->packet.kind != PACKET_RELATED)
		return 0;
	classify(&c->packet.outer, c->generation, &sender);
	if (c->hook == HOOK_FROM_UPLINK)
		return !!(sender.flags & (PARTY_LOCAL | PARTY_NODE));
	return c->hook == HOOK_FROM_WORKLOAD && sender.workload != c->self;
}

static __always_inline const struct addr *server_addr(const struct context *c)
{
	return resolved(c->reply ? &c->packet.tuple.src : &c->packet.tuple.dst);
}

/* Refuses a packet for a reason that no table gives, and reports it. */
static __always_inline int refuse(struct context *c, const struct question *q, struct judgement *j,
				  __u8 reason)
{
	j->verdict = VERDICT_DENY;
	j->reason = reason;
	record(&c->packet, q, j, c->hook, c->reply);
	c->flags = j->flags;
	return -reason;
}

/*
 * Judges a live flow by the present generation. What it now denies ends, and so does a flow that
 * would change between direct and proxied or to another listener: its bytes cannot move.
 */
__noinline int rejudge(struct __sk_buff *skb, struct context *c, const struct flow_key *key,
		       struct flow *f)
{
	struct question q;
	struct judgement j;

	if (!c || !key || !f)
		return -DROP_NO_ENTRY;
	ask(skb, &q, c, f);
	judge(&q, server_addr(c), &j);
	if (spoofs(c, &q))
		return refuse(c, &q, &j, DROP_SPOOFED);
	if (j.verdict == VERDICT_DENY || j.verdict != f->verdict || j.l7_port != f->l7_port) {
		bpf_map_delete_elem(&flows, key);
		j.flags |= ENTRY_REJECT;
		return refuse(c, &q, &j, j.verdict == VERDICT_DENY ? j.reason : DROP_CHANGED);
	}
	f->rule = j.rule;
	f->half = j.half;
	f->name = j.name;
	f->hook = c->hook;
	*(volatile __u32 *)&f->generation = c->generation;
	touch(f, c);
	return j.verdict;
}

/*
 * Judges a flow that has no entry. A TCP packet that opens nothing may belong to a flow of the
 * other direction that was there before us, or whose entry was evicted.
 */
__noinline int open_flow(struct __sk_buff *skb, struct context *c, const struct flow_key *key)
{
	struct question q;
	struct judgement j;
	__u8 denied = 0;
	int err;

	if (!c || !key)
		return -DROP_NO_ENTRY;
	c->reply = 0;
	ask(skb, &q, c, 0);
	if (spoofs(c, &q)) {
		__builtin_memset(&j, 0, sizeof(j));
		j.half = HALF_NONE;
		return refuse(c, &q, &j, DROP_SPOOFED);
	}
	judge(&q, server_addr(c), &j);
	if (j.verdict == VERDICT_DENY && c->packet.tuple.proto == IPPROTO_TCP &&
	    !opens(&c->packet)) {
		denied = j.reason;
		c->reply = 1;
		ask(skb, &q, c, 0);
		judge(&q, server_addr(c), &j);
		if (j.verdict == VERDICT_DENY || j.half == HALF_NONE) {
			c->reply = 0;
			ask(skb, &q, c, 0);
			judge(&q, server_addr(c), &j);
		}
	}
	if (j.half == HALF_NONE)
		return VERDICT_ALLOW;
	if (j.verdict == VERDICT_DENY)
		return refuse(c, &q, &j, j.reason ? j.reason : denied);
	err = remember(key, c, &q, &j, 0);
	if (err)
		return refuse(c, &q, &j, -err);
	c->l7_port = j.l7_port;
	record(&c->packet, &q, &j, c->hook, c->reply);
	return j.verdict;
}

/**
 * open_leg - write down a flow that a process of ours opens towards a workload
 *
 * Nobody judges it: the client's leg was judged, both halves at once.
 * Returns VERDICT_ALLOW or minus a drop reason.
 */
__noinline int open_leg(struct context *c, const struct flow_key *key)
{
	struct judgement j = { .verdict = VERDICT_ALLOW, .half = HALF_NONE };
	struct question q = {};
	int err;

	if (!c || !key)
		return -DROP_NO_ENTRY;
	c->reply = 0;
	c->leg = FLOW_LEG;
	classify(&c->packet.tuple.src, c->generation, &q.client);
	if (!(q.client.flags & PARTY_NODE))
		c->leg |= FLOW_BORROWED;
	__builtin_memset(&q.client, 0, sizeof(q.client));
	if (c->hook == HOOK_SOCKET_IN)
		q.server.flags = PARTY_SOCKET;
	q.server.workload = c->self;
	err = remember(key, c, &q, &j, c->leg);
	return err ? err : VERDICT_ALLOW;
}

/**
 * track - the verdict on a packet
 *
 * Returns the verdict or minus a drop reason; sets @c->reply, @c->leg and @c->l7_port.
 */
static __always_inline int track(struct __sk_buff *skb, struct context *c,
				 const struct flow_key *key, struct flow *f)
{
	int verdict;

	if (!f)
		return open_flow(skb, c, key);
	if (c->packet.kind == PACKET_RELATED && spoofs_error(c)) {
		report_early(c, DROP_SPOOFED);
		return -DROP_SPOOFED;
	}
	c->l7_port = f->l7_port;
	c->leg = f->flags & (FLOW_LEG | FLOW_BORROWED);
	if (!c->leg && f->generation != c->generation)
		return rejudge(skb, c, key, f);
	verdict = f->verdict;
	touch(f, c);
	return verdict;
}

#endif
