/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps and the constants of the datapath. Sizes are defaults; the loader may set others. Every
 * map is pinned, so that the programs outlive the process that loaded them. What Go writes of
 * policies has twice the room that compiler/program promises a program, since a switch has two side
 * by side.
 */
#ifndef MPOL_MAPS_H
#define MPOL_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

/* Set by the loader before the programs are loaded, constant afterwards. */
const volatile __u64 netns_cookie;      /* the network namespace that is judged */
const volatile __u64 answer_nonce;      /* marks packets that a program of ours crafted */
const volatile __u64 proxy_cgroups[4];  /* ids of our own processes' cgroups, 0: none */
const volatile __u64 tick;              /* nanoseconds of a jiffy */
const volatile __u32 cgroup_level;      /* depth of cgroup_root, the mount's root is 0 */
const volatile __u32 mark_redirect;     /* on packets handed to a listener */
const volatile __u32 mark_loop;         /* on sockets whose flow leads through lo */
const volatile __u16 dns_port;          /* of the DNS proxy's listeners */
const volatile __u8 reject_all;         /* answer every denial with RST or ICMP */
const volatile __u8 events_all;         /* report every flow, not only what is denied or logged */
const volatile struct addr listener_v4; /* the listeners' address, ::ffff:127.0.0.1 */
const volatile struct addr listener_v6; /* ::1 */

/* The generation that judges. Go writes it, every program reads it once a packet. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} generation SEC(".maps");

/* generation modulo 2 -> verdict on ungoverned directions. Go writes the coming one's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct ungoverned);
} ungoverned SEC(".maps");

/* Single addresses: those of workloads, of the node and others named one by one. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct addr);
	__type(value, struct owner);
} addresses_exact SEC(".maps");

/* Real prefixes, asked after addresses_exact; 0.0.0.0/0 and ::/0 are always there. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct prefix);
	__type(value, struct owner);
} addresses_lpm SEC(".maps");

/* (host workload, cell) -> identity. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct socket_key);
	__type(value, struct turn);
} sockets SEC(".maps");

/* Index of a device -> workload behind it. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct turn);
} devices SEC(".maps");

/* Id of a cgroup -> workload in it. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct turn);
} cgroups SEC(".maps");

/* (workload, direction) -> table. A workload of this node has both rows. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct row_key);
	__type(value, struct row);
} rows SEC(".maps");

/*
 * (table, identity) -> class, for identities of another class than CLASS_STRANGERS. Go writes; a
 * member never changes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, struct member_key);
	__type(value, __u32);
} members SEC(".maps");

/* (table, class, protocol, port) -> verdict. Go writes; an entry never changes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, struct entry_key);
	__type(value, struct entry);
} entries SEC(".maps");

/* The same for ranges of ports, cut into prefixes; only for tables with TABLE_RANGES. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct range_key);
	__type(value, struct entry);
} ranges SEC(".maps");

/* (workload, address) -> name sets that it was learned for. Go writes before an answer leaves. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct name_key);
	__type(value, struct slots);
} names SEC(".maps");

/* Both halves of a redirected flow -> port of the listener. Go writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct profile_key);
	__type(value, __u32);
} profiles SEC(".maps");

/* Flows that were allowed. The programs write; Go reads for counters and for who asked. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Flows that our own processes opened from this node. The egress program of their cgroup writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, struct origin);
} origins SEC(".maps");

/* Alias of a resolver on lo -> the resolver. The steering hooks write; the judge reads. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct addr);
	__type(value, struct addr);
} aliases SEC(".maps");

/* Records for Go; 1 MiB holds ten thousand. A full ring loses records, never packets. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* enum drop_reason -> dropped packets; element 0 counts lost records. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/* Rule -> how often it decided: once a flow that it allowed, once a packet that it denied. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

#endif
