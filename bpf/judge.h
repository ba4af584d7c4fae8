/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict on a flow: both halves by their tables, the learned names merged into the egress
 * half, the listener of a redirect. It writes nothing and sees no packet.
 */
#ifndef MPOL_JUDGE_H
#define MPOL_JUDGE_H

#include "classify.h"

/* What is asked. */
struct question {
	struct party client;
	struct party server;
	__u32 generation;
	__u32 kept; /* name set that admitted the live flow, counts as learned; 0: none */
	__u16 port; /* of the server, or ICMP type << 8 | code */
	__u8 proto;
	__u8 pad;
};

/* What is answered. */
struct judgement {
	__u8 verdict; /* enum verdict */
	__u8 half;
	__u8 flags; /* ENTRY_LOG, ENTRY_REJECT of the deciding entry */
	__u8 l7;
	__u8 reason; /* enum drop_reason, of a deny */
	__u8 pad;
	__u16 l7_port;
	__u32 rule;
	__u32 name; /* name set that admitted the flow, 0: none */
};

/* What one half says. */
struct half_verdict {
	struct entry entry;
	__u32 table; /* TABLE_NONE: ungoverned */
	__u32 class;
	__u8 exists; /* the workload is one of this node */
	__u8 reason; /* enum drop_reason, of a deny */
	__u8 l7;
	__u8 pad;
	__u32 name;              /* name set whose verdict won, 0: none */
	__u32 taking[SLOTS + 1]; /* name sets that took part */
};

/**
 * find_entry - what a table says of a class, protocol and port
 *
 * The most exact entry wins: port, range, protocol, any. Returns 0 or minus DROP_MISSING.
 */
__noinline int find_entry(__u32 table, __u32 flags, __u32 class, const struct question *q,
			  struct entry *to)
{
	struct entry *found;
	union {
		struct entry_key exact;
		struct range_key range;
	} key = {};

	if (!q || !to)
		return -DROP_MISSING;
	key.exact.table = table;
	key.exact.class = class;
	key.exact.port = q->port;
	key.exact.proto = q->proto;
	found = bpf_map_lookup_elem(&entries, &key.exact);
	if (!found && (flags & TABLE_RANGES)) {
		key.range.length = RANGE_FIXED + 16;
		key.range.table = table;
		key.range.class = class;
		key.range.proto = bpf_htons(q->proto);
		key.range.port = bpf_htons(q->port);
		found = bpf_map_lookup_elem(&ranges, &key.range);
	}
	if (!found) {
		key.exact.table = table;
		key.exact.class = class;
		key.exact.port = 0;
		key.exact.proto = q->proto;
		key.exact.kind = ENTRY_PROTO;
		found = bpf_map_lookup_elem(&entries, &key.exact);
	}
	if (!found) {
		key.exact.proto = 0;
		key.exact.kind = ENTRY_ANY;
		found = bpf_map_lookup_elem(&entries, &key.exact);
	}
	if (!found)
		return -DROP_MISSING;
	*(__u64 *)to = *(volatile __u64 *)found;
	return 0;
}

/**
 * merge - join a second verdict on the same half
 *
 * The lower rank wins, among equals the lower order; the L7 kind is that of either. Two kinds that
 * differ leave a deny. Returns whether @v won.
 */
static __always_inline int merge(struct half_verdict *h, const struct entry *v)
{
	__u8 l7 = v->flags >> ENTRY_L7_SHIFT;
	int won = v->rank < h->entry.rank ||
		  (v->rank == h->entry.rank && v->order < h->entry.order);

	if (l7 && h->l7 && l7 != h->l7)
		h->reason = DROP_L7_CONFLICT;
	if (!h->l7)
		h->l7 = l7;
	if (won)
		h->entry = *v;
	return won;
}

/* Whether a name set's verdict is an allow of a rule: only then it has a say in the profile. */
static __always_inline int takes_part(const struct entry *v)
{
	return (v->rank & 3) == RANK_ALLOW;
}

/* Merges what the client has learned about the server's address into its egress half. */
static __always_inline void merge_names(struct half_verdict *h, __u32 flags,
					const struct question *q, const struct addr *server)
{
	struct name_key key = { .addr = *server, .workload = q->client.workload };
	struct slots *learned;
	struct entry v;
	__u64 now;

	if (!(flags & TABLE_NAMES) || (q->server.flags & PARTY_OWNED))
		return;
	if (q->kept && !find_entry(h->table, flags, q->kept, q, &v)) {
		if (takes_part(&v))
			h->taking[SLOTS] = q->kept;
		if (merge(h, &v))
			h->name = q->kept;
	}
	learned = bpf_map_lookup_elem(&names, &key);
	if (!learned)
		return;
	now = bpf_ktime_get_boot_ns();
	for (int i = 0; i < SLOTS; i++) {
		__u32 class = learned->slot[i].class;

		if (learned->slot[i].expires <= now || class == q->kept)
			continue;
		if (find_entry(h->table, flags, class, q, &v))
			continue;
		if (takes_part(&v))
			h->taking[i] = class;
		if (merge(h, &v))
			h->name = class;
	}
}

/**
 * judge_half - what the table of one direction says
 * @server: address of the server, for the egress half
 *
 * Leaves a zeroed @h where the subject is no workload of this node. Returns 0.
 */
__noinline int judge_half(struct half_verdict *h, __u32 direction, const struct question *q,
			  const struct addr *server)
{
	struct row_key key = { .direction = direction };
	struct member_key member = {};
	__u32 parity, flags, *class;
	struct row *row;

	if (!h || !q)
		return 0;
	__builtin_memset(h, 0, sizeof(*h));
	key.workload = direction == HALF_EGRESS ? q->client.workload : q->server.workload;
	member.identity = direction == HALF_EGRESS ? q->server.identity : q->client.identity;
	parity = q->generation & 1;
	row = key.workload ? bpf_map_lookup_elem(&rows, &key) : 0;
	if (!row)
		return 0;
	h->exists = 1;
	h->table = q->generation >= row->from ? row->next : row->now;
	flags = q->generation >= row->from ? row->next_flags : row->now_flags;
	if (h->table == TABLE_NONE) {
		struct ungoverned *u = bpf_map_lookup_elem(&ungoverned, &parity);

		if (u)
			h->entry = u->entry;
	} else {
		member.table = h->table;
		class = bpf_map_lookup_elem(&members, &member);
		h->class = class ? *class : CLASS_STRANGERS;
		if (!member.identity || find_entry(h->table, flags, h->class, q, &h->entry)) {
			h->entry.rank = 0xff;
			h->entry.order = 0xffff;
			h->reason = DROP_MISSING;
		}
		h->l7 = h->entry.flags >> ENTRY_L7_SHIFT;
		if (server && direction == HALF_EGRESS)
			merge_names(h, flags, q, server);
	}
	if (h->reason == DROP_L7_CONFLICT)
		h->entry.flags &= ~ENTRY_ALLOW;
	else if (h->entry.flags & ENTRY_ALLOW)
		h->reason = DROP_NONE;
	else if (h->entry.rule)
		h->reason = DROP_POLICY;
	else
		h->reason = DROP_MISSING;
	return 0;
}

static __always_inline __u16 find_profile(const struct half_verdict *egress,
					  const struct half_verdict *ingress, __u32 name,
					  const struct question *q)
{
	struct profile_key key = {
		.egress = egress->table,
		.egress_class = egress->table ? egress->class : 0,
		.name = name,
		.ingress = ingress->table,
		.ingress_class = ingress->table ? ingress->class : 0,
		.port = q->port,
		.looped = !!(q->client.flags & PARTY_SOCKET),
	};
	__u32 *port = bpf_map_lookup_elem(&profiles, &key);

	return port ? *port : 0;
}

/**
 * find_listener - the port of the proxy that a redirected flow belongs to
 *
 * Name sets that took part must agree on it. Returns the port or minus a drop reason.
 */
__noinline int find_listener(const struct half_verdict *egress, const struct half_verdict *ingress,
			     __u8 l7, const struct question *q)
{
	__u16 port = 0, one;
	int any = 0;

	if (!egress || !ingress || !q)
		return -DROP_NO_PROFILE;
	if (l7 == L7_DNS)
		return dns_port ? dns_port : -DROP_NO_PROFILE;
	for (int i = 0; i < SLOTS + 1; i++) {
		if (!egress->taking[i])
			continue;
		any = 1;
		one = find_profile(egress, ingress, egress->taking[i], q);
		if (!one)
			return -DROP_NO_PROFILE;
		if (port && port != one)
			return -DROP_L7_CONFLICT;
		port = one;
	}
	if (!any)
		port = find_profile(egress, ingress, 0, q);
	return port ? port : -DROP_NO_PROFILE;
}

static __always_inline void decide_by(struct judgement *j, const struct half_verdict *h, __u8 half)
{
	j->half = half;
	j->rule = h->entry.rule;
	j->flags = h->entry.flags & (ENTRY_LOG | ENTRY_REJECT);
	j->reason = h->reason;
}

/**
 * judge - the verdict of one generation on a flow
 * @q: the flow
 * @server: its server's address as policies know it
 * @j: the answer
 *
 * Of a deny the egress half is reported before the ingress half; of a redirect the first half with
 * an L7 kind; of an allow the egress half if it is governed, else the ingress half.
 *
 * Returns the verdict; VERDICT_ALLOW with HALF_NONE where no end is a workload of this node, and
 * for a flow of a workload with itself.
 */
__noinline int judge(const struct question *q, const struct addr *server, struct judgement *j)
{
	struct half_verdict egress, ingress;
	int port;

	if (!q || !server || !j)
		return VERDICT_DENY;
	__builtin_memset(j, 0, sizeof(*j));
	j->half = HALF_NONE;
	j->verdict = VERDICT_ALLOW;
	if (q->client.workload && q->client.workload == q->server.workload)
		return VERDICT_ALLOW;
	judge_half(&egress, HALF_EGRESS, q, server);
	judge_half(&ingress, HALF_INGRESS, q, server);
	if (!egress.exists && !ingress.exists)
		return VERDICT_ALLOW;
	j->verdict = VERDICT_DENY;
	if (egress.exists && egress.reason) {
		decide_by(j, &egress, HALF_EGRESS);
		return VERDICT_DENY;
	}
	if (ingress.exists && ingress.reason) {
		decide_by(j, &ingress, HALF_INGRESS);
		return VERDICT_DENY;
	}
	j->l7 = egress.l7 ? egress.l7 : ingress.l7;
	if (egress.exists && (egress.l7 || (!j->l7 && egress.table) || !ingress.exists))
		decide_by(j, &egress, HALF_EGRESS);
	else
		decide_by(j, &ingress, HALF_INGRESS);
	j->name = egress.name;
	if (!j->l7) {
		j->verdict = VERDICT_ALLOW;
		return VERDICT_ALLOW;
	}
	port = egress.l7 && ingress.l7 && egress.l7 != ingress.l7 ?
		       -DROP_L7_CONFLICT :
		       find_listener(&egress, &ingress, j->l7, q);
	if (port < 0) {
		j->reason = -port;
		return VERDICT_DENY;
	}
	j->l7_port = port;
	j->verdict = VERDICT_REDIRECT;
	return VERDICT_REDIRECT;
}

#endif
