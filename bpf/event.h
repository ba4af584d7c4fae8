/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is counted and reported. */
#ifndef MPOL_EVENT_H
#define MPOL_EVENT_H

#include "judge.h"

static __always_inline void count_drop(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &reason);

	if (n)
		*n += 1;
}

static __always_inline void count_hit(__u32 rule)
{
	__u64 one = 1, *n;

	if (!rule)
		return;
	n = bpf_map_lookup_elem(&hits, &rule);
	if (n)
		*n += 1;
	else
		bpf_map_update_elem(&hits, &rule, &one, BPF_ANY);
}

/**
 * report - write a record of a judged flow
 * @reply: the sender of the packet is the server
 *
 * Returns 0; where the ring is full it counts a lost record.
 */
__noinline int report(const struct packet *p, const struct question *q, const struct judgement *j,
		      __u8 hook, __u8 reply)
{
	const struct tuple *t;
	struct event *e;

	if (!p || !q || !j)
		return 0;
	t = &p->tuple;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count_drop(DROP_NONE);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_boot_ns();
	e->generation = q->generation;
	e->client = q->client.workload;
	e->server = q->server.workload;
	e->client_identity = q->client.identity;
	e->server_identity = q->server.identity;
	e->rule = j->rule;
	e->src = reply ? t->dst : t->src;
	e->dst = reply ? t->src : t->dst;
	e->sport = reply ? t->dport : t->sport;
	e->dport = q->port;
	e->l7_port = j->l7_port;
	e->proto = t->proto;
	e->verdict = j->verdict;
	e->half = j->half;
	e->l7 = j->l7;
	e->reason = j->reason;
	e->hook = hook;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* Counts a judgement and reports it where someone asked for that. */
static __always_inline void record(const struct packet *p, const struct question *q,
				   const struct judgement *j, __u8 hook, __u8 reply)
{
	if (j->half != HALF_NONE)
		count_hit(j->rule);
	if (j->verdict == VERDICT_DENY || events_all || (j->flags & ENTRY_LOG))
		report(p, q, j, hook, reply);
}

#endif
