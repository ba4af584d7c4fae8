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

struct sock___cgroup;

struct sock_common___cgroup {
	unsigned char skc_state;
	struct sock___cgroup *skc_listener; /* of a connection that is not established yet */
} __attribute__((preserve_access_index));

/* struct sock; the loader takes no notice of what follows the underscores. */
struct sock___cgroup {
	struct sock_common___cgroup __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
} __attribute__((preserve_access_index));

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

/*
 * The cgroup of a socket that is not in TIME_WAIT; of a connection that is not established yet,
 * which has none, that of its listener.
 */
static __always_inline struct cgroup *socket_cgroup(struct bpf_sock *sk)
{
	__u32 type = bpf_core_type_id_kernel(struct sock___cgroup);
	struct sock___cgroup *s = bpf_rdonly_cast(sk, type);

	if (s->__sk_common.skc_state == BPF_TCP_NEW_SYN_RECV)
		s = bpf_rdonly_cast(s->__sk_common.skc_listener, type);
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
