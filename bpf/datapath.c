/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
//go:build ignore
/*
 * Entry points of the datapath at devices and sockets: parse, classify, decide, act, count. The
 * hooks that steer sockets are in hooks.c, which is part of this object.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "answer.h"
#include "netns.h"

#define LOOPBACK 1    /* ifindex of lo in every network namespace */
#define ROOT_CGROUP 1 /* id of the cgroup of the kernel's own sockets */

/* What every hook learns first. */
static __always_inline void begin(struct __sk_buff *skb, struct context *c)
{
	c->generation = read_generation();
	c->now = coarse_time();
	c->length = skb->len;
}

/* Counts and reports a dropped packet that nobody judged. */
static __always_inline void drop_early(const struct context *c, __u8 reason)
{
	count_drop(reason);
	report_early(c, reason);
}

/* Drops a refused packet at a device, with an answer where one is due. */
static __always_inline int drop(struct __sk_buff *skb, struct context *c, __u8 reason)
{
	int due = reject_all || (c->flags & ENTRY_REJECT) || reason == DROP_NO_LISTENER;

	count_drop(reason);
	if (!due || reason == DROP_SPOOFED)
		return TC_ACT_SHOT;
	return answer(skb, &c->packet, c->hook == HOOK_TO_WORKLOAD ? BPF_F_INGRESS : 0);
}

/* Drops a packet of a flow that is allowed, because it takes a way that the flow may not take. */
static __always_inline int drop_astray(struct __sk_buff *skb, struct context *c, __u8 reason)
{
	drop_early(c, reason);
	if (reason != DROP_NO_LISTENER)
		return TC_ACT_SHOT;
	return answer(skb, &c->packet, c->hook == HOOK_TO_WORKLOAD ? BPF_F_INGRESS : 0);
}

/* A packet that the kernel made without a process: RST, or ACK of a connection in TIME_WAIT. */
static __always_inline int made_here(struct __sk_buff *skb, const struct packet *p)
{
	__u64 id = bpf_skb_cgroup_id(skb);

	return p->proto == IPPROTO_TCP && !opens(p) && !skb->ingress_ifindex &&
	       (id == ROOT_CGROUP || !id);
}

/*
 * What becomes of an allowed packet of a workload. Replies to a proxy that uses its client's
 * address go to the proxy's connection; a flow that only the proxy may answer gets none from here.
 */
static __always_inline int act_from_workload(struct __sk_buff *skb, struct context *c, int verdict)
{
	int err = 0;

	if (!c->reply) {
		if (verdict == VERDICT_REDIRECT)
			err = redirect(skb, &c->packet, c->l7_port);
	} else if (verdict == VERDICT_REDIRECT) {
		if (assign_established(skb, &c->packet))
			err = -DROP_NOT_PROXIED;
	} else if ((c->leg & FLOW_BORROWED) && c->packet.proto == IPPROTO_TCP) {
		err = assign_established(skb, &c->packet);
	}
	return err ? drop_astray(skb, c, -err) : TC_ACT_UNSPEC;
}

/*
 * Whether a message between neighbours is for a neighbour: for all of the link, or the node. To any
 * other address the node would pass it on.
 */
static __always_inline int stays_on_link(const struct context *c)
{
	const struct packet *p = &c->packet;
	const __u8 *dst = p->tuple.dst.byte;
	struct party receiver;

	if (p->family != 6 || (dst[0] == 0xff && (dst[1] & 0xf) <= 2) ||
	    (dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80))
		return 1;
	classify(&p->tuple.dst, c->generation, &receiver);
	return !!(receiver.flags & PARTY_NODE);
}

/* What a workload behind a device sends. */
SEC("tcx/ingress")
int from_workload(struct __sk_buff *skb)
{
	struct context c = { .hook = HOOK_FROM_WORKLOAD, .out = 1 };
	struct flow_key key;
	struct flow *f;
	int err;

	if (is_answer(skb))
		return TC_ACT_UNSPEC;
	begin(skb, &c);
	c.self = device_workload(skb->ifindex, c.generation);
	err = parse(skb, &c.packet, ETH_HLEN);
	if (!c.self)
		err = -DROP_UNKNOWN_WORKLOAD;
	if (err) {
		drop_early(&c, -err);
		return TC_ACT_SHOT;
	}
	if (c.packet.kind == PACKET_LINK) {
		if (stays_on_link(&c))
			return TC_ACT_UNSPEC;
		c.packet.kind = PACKET_FLOW;
	}
	f = find_flow(&key, &c);
	err = track(skb, &c, &key, f);
	return err < 0 ? drop(skb, &c, -err) : act_from_workload(skb, &c, err);
}

/*
 * Whether a packet of a process of ours opens a flow towards a server. Nothing else does: what it
 * says to a client whose flow is denied meanwhile, or forgotten, would open a way past the proxy.
 * Questions to a resolver come from UDP sockets, answers to clients from raw ones.
 */
static __always_inline int opens_leg(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock *sk;

	if (p->proto == IPPROTO_TCP)
		return opens(p);
	sk = skb->sk;
	if (p->proto != IPPROTO_UDP || p->kind != PACKET_FLOW || !sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	return sk && sk->protocol == IPPROTO_UDP;
}

/* What a workload behind a device receives. */
SEC("tcx/egress")
int to_workload(struct __sk_buff *skb)
{
	struct context c = { .hook = HOOK_TO_WORKLOAD };
	struct flow_key key;
	struct flow *f;
	int err, proxied;

	if (is_answer(skb))
		return TC_ACT_UNSPEC;
	begin(skb, &c);
	c.self = device_workload(skb->ifindex, c.generation);
	err = parse(skb, &c.packet, ETH_HLEN);
	if (!c.self)
		err = -DROP_UNKNOWN_WORKLOAD;
	if (err) {
		drop_early(&c, -err);
		return TC_ACT_SHOT;
	}
	if (c.packet.kind == PACKET_LINK)
		return TC_ACT_UNSPEC;
	f = find_flow(&key, &c);
	proxied = is_proxy(bpf_skb_cgroup_id(skb));
	if (proxied && (!f || !c.reply) && !(f && (f->flags & FLOW_LEG)) &&
	    opens_leg(skb, &c.packet))
		err = open_leg(&c, &key);
	else
		err = track(skb, &c, &key, f);
	if (err < 0) {
		if (proxied)
			skb->mark = mark_redirect; /* the answer finds the proxy by it */
		return drop(skb, &c, -err);
	}
	if (!proxied && (err == VERDICT_REDIRECT || (c.leg && !c.reply)) &&
	    !made_here(skb, &c.packet))
		return drop_astray(skb, &c, DROP_NOT_PROXIED);
	return TC_ACT_UNSPEC;
}

/* Whether a packet from outside says that it comes from here. */
static __always_inline int claims_inside(const struct context *c)
{
	struct party sender;

	classify(&c->packet.tuple.src, c->generation, &sender);
	return !!(sender.flags & (PARTY_LOCAL | PARTY_NODE));
}

/*
 * What comes from outside. Packets that cannot be read here are read again, put together, where
 * they arrive, but there nobody knows any more where they came in.
 */
SEC("tcx/ingress")
int from_uplink(struct __sk_buff *skb)
{
	struct context c = { .hook = HOOK_FROM_UPLINK };
	struct flow_key key;
	struct flow *f;
	int err;

	begin(skb, &c);
	err = parse(skb, &c.packet, ETH_HLEN);
	if (err == -DROP_FRAGMENT && claims_inside(&c)) {
		drop_early(&c, DROP_SPOOFED);
		return TC_ACT_SHOT;
	}
	if (err || c.packet.kind == PACKET_LINK)
		return TC_ACT_UNSPEC;
	f = find_flow(&key, &c);
	err = track(skb, &c, &key, f);
	if (err < 0)
		return drop(skb, &c, -err);
	if (err != VERDICT_REDIRECT)
		return TC_ACT_UNSPEC;
	err = c.reply ? -DROP_NOT_PROXIED : redirect(skb, &c.packet, c.l7_port);
	return err ? drop_astray(skb, &c, -err) : TC_ACT_UNSPEC;
}

/* What host workloads send to a proxy by way of lo; their sockets' hook has judged it. */
SEC("tcx/ingress")
int from_loopback(struct __sk_buff *skb)
{
	struct context c = { .hook = HOOK_FROM_LOOPBACK };
	struct flow_key key;
	struct flow *f;
	int err;

	begin(skb, &c);
	if (is_answer(skb) || parse(skb, &c.packet, ETH_HLEN) || c.packet.kind != PACKET_FLOW)
		return TC_ACT_UNSPEC;
	f = find_flow(&key, &c);
	if (!f || f->verdict != VERDICT_REDIRECT || c.reply || !(f->flags & FLOW_CLIENT_SOCKET))
		return TC_ACT_UNSPEC;
	err = redirect(skb, &c.packet, f->l7_port);
	return err ? drop_astray(skb, &c, -err) : TC_ACT_UNSPEC;
}

/* Begins the work of a hook at sockets. Returns minus a drop reason, 0, or 1 for none of ours. */
static __always_inline int begin_socket(struct __sk_buff *skb, struct context *c)
{
	int err;

	if (!is_our_netns(skb))
		return 1;
	begin(skb, c);
	c->self = packet_workload(skb, c->generation);
	err = parse(skb, &c->packet, 0);
	if (!c->self)
		return -DROP_UNKNOWN_WORKLOAD;
	return err ? err : c->packet.kind == PACKET_LINK;
}

/*
 * Whether a packet asks at an alias. Its resolver was judged in its place, so it may reach the
 * proxy and none of the node's own servers.
 */
static __always_inline int to_alias(const struct context *c)
{
	return !c->reply && is_alias(&c->packet.tuple.dst);
}

/* What the socket of a host workload sends. A redirected flow leaves through lo or not at all. */
SEC("cgroup_skb/egress")
int socket_out(struct __sk_buff *skb)
{
	struct context c = { .hook = HOOK_SOCKET_OUT, .out = 1 };
	struct flow_key key;
	struct flow *f;
	int err;

	err = begin_socket(skb, &c);
	if (err > 0)
		return 1;
	if (err) {
		drop_early(&c, -err);
		return 0;
	}
	f = find_flow(&key, &c);
	err = track(skb, &c, &key, f);
	if (err < 0) {
		count_drop(-err);
		return 0;
	}
	if (err == VERDICT_REDIRECT ? c.reply || skb->ifindex != LOOPBACK : to_alias(&c)) {
		drop_early(&c, DROP_NOT_PROXIED);
		return 0;
	}
	return 1;
}

/* Whether a process of ours has just sent this packet. Its record serves once. */
__noinline int from_proxy(struct __sk_buff *skb, const struct context *c)
{
	const struct packet *p;
	struct origin *o;
	int fresh;

	if (!c)
		return 0;
	p = &c->packet;
	if (skb->ifindex != LOOPBACK || p->kind != PACKET_FLOW)
		return 0;
	o = bpf_map_lookup_elem(&origins, &p->tuple);
	if (!o)
		return 0;
	fresh = o->workload == ORIGIN_PROXY && c->now - o->time < SECOND;
	bpf_map_delete_elem(&origins, &p->tuple);
	return fresh;
}

/* What the socket of a host workload receives. */
SEC("cgroup_skb/ingress")
int socket_in(struct __sk_buff *skb)
{
	struct context c = { .hook = HOOK_SOCKET_IN };
	struct flow_key key;
	struct flow *f;
	int err;

	err = begin_socket(skb, &c);
	if (err > 0)
		return 1;
	if (err) {
		drop_early(&c, -err);
		return 0;
	}
	f = find_flow(&key, &c);
	/* Datagrams of a process of ours are recognised one by one: its port may change hands. */
	if (f && (f->flags & FLOW_LEG) && !c.reply && c.packet.proto != IPPROTO_TCP)
		f = 0;
	if ((!f || (f->verdict == VERDICT_REDIRECT && !c.reply)) && from_proxy(skb, &c))
		err = open_leg(&c, &key);
	else
		err = track(skb, &c, &key, f);
	if (err < 0) {
		count_drop(-err);
		return 0;
	}
	if (err == VERDICT_REDIRECT ? !c.reply || skb->ifindex != LOOPBACK : to_alias(&c)) {
		drop_early(&c, DROP_NOT_PROXIED);
		return 0;
	}
	return 1;
}

/* Writes down what a process of ours opens over lo: its peer's hook cannot see the sender. */
SEC("cgroup_skb/egress")
int proxy_out(struct __sk_buff *skb)
{
	struct origin o = { .time = coarse_time(), .workload = ORIGIN_PROXY };
	struct packet p;

	if (skb->ifindex != LOOPBACK || !is_our_netns(skb) || parse(skb, &p, 0))
		return 1;
	if (opens_leg(skb, &p))
		bpf_map_update_elem(&origins, &p.tuple, &o, BPF_ANY);
	return 1;
}

#include "hooks.c"

char _license[] SEC("license") = "Dual BSD/GPL";
