/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The cgroup in which a socket was made. bpf_sk_cgroup_id is for cgroup_skb alone; the programs of
 * devices and the socket-address hooks read the kernel's own fields.
 */
#ifndef MPOL_CGROUP_H
#define MPOL_CGROUP_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Parts of the kernel's types; the loader finds the offsets in the running kernel's BTF. */
struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
} __attribute__((preserve_access_index));

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

struct sock_cgroup_data {
	struct cgroup *cgroup;
} __attribute__((preserve_access_index));

/* struct sock; the loader takes no notice of what follows three underscores. */
struct sock___cgroup {
	struct sock_cgroup_data sk_cgrp_data;
} __attribute__((preserve_access_index));

/* A connection that is not established yet; it is of its listener's cgroup. */
struct request_sock {
	struct sock___cgroup *rsk_listener;
} __attribute__((preserve_access_index));

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

/* A socket in TIME_WAIT has none: do not ask for it. */
static __always_inline struct cgroup *socket_cgroup(struct bpf_sock *sk)
{
	struct sock___cgroup *s;
	struct request_sock *r;

	if (sk->state == BPF_TCP_NEW_SYN_RECV) {
		r = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct request_sock));
		return r->rsk_listener->sk_cgrp_data.cgroup;
	}
	s = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct sock___cgroup));
	return s->sk_cgrp_data.cgroup;
}

static __always_inline __u64 socket_cgroup_id(struct bpf_sock *sk)
{
	return socket_cgroup(sk)->kn->id;
}

/* The cgroup above one; of the mount's root one whose fields all read 0. */
static __always_inline struct cgroup *parent_cgroup(struct cgroup *c)
{
	return c->self.parent->cgroup;
}

#endif
