/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What C and Go share: numbers, map keys and map values. Go's types and constants are generated
 * from this file by bpf2go. Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; all
 * other fields are in host order unless they say otherwise.
 */
#ifndef MPOL_TYPES_H
#define MPOL_TYPES_H

#include <linux/types.h>

/* What happens to a flow. */
enum verdict {
	VERDICT_DENY,
	VERDICT_ALLOW,
	VERDICT_REDIRECT,
};

/* The half of a flow that decided. */
enum half {
	HALF_EGRESS,
	HALF_INGRESS,
	HALF_NONE,
};

/* Why a packet was dropped. Append only: the numbers outlive a version. */
enum drop_reason {
	DROP_NONE,
	DROP_POLICY,           /* a rule or a default denies it */
	DROP_MISSING,          /* a table lacks the entry, or nobody knows who the other end is */
	DROP_L7_CONFLICT,      /* two verdicts ask for different proxies */
	DROP_NO_PROFILE,       /* the verdict asks for a proxy and no profile is for this flow */
	DROP_NO_LISTENER,      /* the proxy of the flow does not listen, or lost its connection */
	DROP_SPOOFED,          /* the source address is not the workload's */
	DROP_UNKNOWN_WORKLOAD, /* the device or cgroup belongs to no workload */
	DROP_UNPARSABLE,       /* the headers cannot be read */
	DROP_FRAGMENT,         /* a fragment that lacks the ports */
	DROP_NOT_IP,           /* neither IPv4, IPv6 nor ARP */
	DROP_NOT_PROXIED,      /* a redirected flow that passed the proxy by */
	DROP_CHANGED,          /* a live flow would change between direct and proxied */
	DROP_NO_ENTRY,         /* the flow could not be written down */
	DROP_REASONS,
};

/* The program that saw a packet. */
enum hook {
	HOOK_NONE,
	HOOK_FROM_WORKLOAD, /* tcx ingress of a workload's device */
	HOOK_TO_WORKLOAD,   /* tcx egress of a workload's device */
	HOOK_FROM_UPLINK,   /* tcx ingress of an uplink */
	HOOK_FROM_LOOPBACK, /* tcx ingress of lo */
	HOOK_SOCKET_OUT,    /* cgroup_skb egress */
	HOOK_SOCKET_IN,     /* cgroup_skb ingress */
	HOOK_CONNECT,       /* connect and sendmsg of a host workload's socket */
};

enum l7 {
	L7_NONE,
	L7_HTTP,
	L7_TLS,
	L7_DNS,
};

struct addr {
	__u8 byte[16];
} __attribute__((aligned(8)));

/*
 * Whoever uses an address. cell is the longest prefix of the policies that contains it; with it a
 * host workload's identity at this address is found.
 */
struct party {
	__u32 identity;
	__u32 workload; /* 0: none */
	__u32 cell;
	__u32 flags; /* PARTY_ */
};

/* Of struct party. */
enum party_flag {
	PARTY_OWNED = 1,  /* of the node or of a workload: no name opens it */
	PARTY_NODE = 2,   /* of the node itself */
	PARTY_LOCAL = 4,  /* of a workload behind a device of this node */
	PARTY_SOCKET = 8, /* a host workload; set by the programs only */
};

/* What an address is now and from a generation on. */
struct owner {
	struct party now;
	struct party next;
	__u32 from; /* generation */
	__u32 pad;
};

struct prefix {
	__u32 length; /* in bits, of the 16-byte address */
	struct {
		__u8 byte[16];
	} addr;
};

/* A number now and from a generation on. */
struct turn {
	__u32 now;
	__u32 next;
	__u32 from; /* generation */
	__u32 pad;
};

struct socket_key {
	__u32 workload;
	__u32 cell;
};

struct row_key {
	__u32 workload;
	__u32 direction; /* enum half */
};

/* The table that judges a direction of a workload. */
struct row {
	__u32 now; /* table, TABLE_NONE where ungoverned, TABLE_CLOSED where nothing may pass */
	__u32 next;
	__u32 from;      /* generation */
	__u16 now_flags; /* TABLE_ */
	__u16 next_flags;
};

enum table {
	TABLE_NONE = 0,
	TABLE_CLOSED = 0xffffffff,
};
enum table_flag {
	TABLE_RANGES = 1, /* the table has ranges of ports */
	TABLE_NAMES = 2,  /* the table has name sets */
};

struct member_key {
	__u32 table;
	__u32 identity;
};

/* Class of the identities without a row in members, the same number in every table. */
enum class {
	CLASS_STRANGERS = 0,
};

struct entry_key {
	__u32 table;
	__u32 class;
	__u16 port; /* or ICMP type << 8 | code; 0 unless kind is ENTRY_PORT */
	__u8 proto; /* 0 where kind is ENTRY_ANY */
	__u8 kind;  /* ENTRY_ */
};

enum entry_kind {
	ENTRY_PORT = 0,  /* one port of a protocol */
	ENTRY_PROTO = 1, /* every other port of a protocol */
	ENTRY_ANY = 2,   /* every other protocol */
};

struct range_key {
	__u32 length; /* in bits: RANGE_FIXED and those of the port */
	__u32 table;
	__u32 class;
	__u16 proto; /* network order, for the trie compares bytes; so is port */
	__u16 port;
};

enum range_bits {
	RANGE_FIXED = 80, /* bits of table, class and protocol */
};

#define RANK_ALLOW 1 /* rank modulo 4 of a rule that allows */

/* A verdict of a table, read by one load of 8 bytes. */
struct entry {
	__u8 flags; /* ENTRY_ flags, L7 kind in the upper four bits */
	__u8 rank;
	__u16 order;
	__u32 rule;
};

enum entry_flag {
	ENTRY_ALLOW = 1,
	ENTRY_LOG = 2,
	ENTRY_REJECT = 4,
	ENTRY_L7_SHIFT = 4, /* bits to the L7 kind */
};

struct name_key {
	struct addr addr;
	__u32 workload;
	__u32 pad;
};

/* A name set that an address was learned for, until a time. */
struct slot {
	__u64 expires; /* nanoseconds since boot; 0: free */
	__u32 class;
	__u32 pad;
};

#define SLOTS 4

struct slots {
	struct slot slot[SLOTS];
};

/* Tables and classes are 0 where the half is absent or ungoverned, name where no name took part. */
struct profile_key {
	__u32 egress;
	__u32 egress_class;
	__u32 name;
	__u32 ingress;
	__u32 ingress_class;
	__u16 port;
	__u16 looped;
};

/*
 * Both directions of a flow have one key: a is the lower end. side tells flows apart whose ends
 * alone do not: of an ICMP echo it is 1 where a asked and 2 where b did, else 0.
 */
struct flow_key {
	struct addr a;
	struct addr b;
	__u16 a_port;
	__u16 b_port;
	__u8 proto;
	__u8 side;
	__u16 pad;
};

/* A flow that was allowed. */
struct flow {
	__u32 generation; /* that judged it last */
	__u32 rule;
	__u32 client; /* workload, 0: none of this node */
	__u32 server;
	__u32 name;    /* name set that admitted it, 0: none */
	__u16 l7_port; /* of the listener, 0: direct */
	__u16 flags;   /* FLOW_ */
	__u8 verdict;
	__u8 half;
	__u8 l7;
	__u8 hook; /* that judged it last */
	__u32 pad;
	__u64 last; /* nanoseconds of coarse_time() */
	__u64 packets;
	__u64 bytes;
};

enum flow_flag {
	FLOW_FROM_A = 1,         /* the client is end a of the key */
	FLOW_REPLIED = 2,        /* the server has answered */
	FLOW_CLOSED = 4,         /* TCP: RST seen, or FIN from both */
	FLOW_FIN_CLIENT = 8,     /* TCP: the client has sent FIN */
	FLOW_FIN_SERVER = 16,    /* TCP: the server has sent FIN */
	FLOW_CLIENT_SOCKET = 32, /* the client is a host workload */
	FLOW_SERVER_SOCKET = 64, /* the server is a host workload */
	FLOW_LEG = 128,          /* opened by a proxy of ours: its hook judged the client's leg */
	FLOW_BORROWED = 256,     /* a leg whose proxy uses an address that is not the node's */
};

/* The ends of a packet: src sent it. */
struct tuple {
	struct addr src;
	struct addr dst;
	__u16 sport;
	__u16 dport;
	__u8 proto;
	__u8 pad[3];
};

/* Who made a flow of the node's own address. */
struct origin {
	__u64 time;     /* nanoseconds of coarse_time() */
	__u32 workload; /* or ORIGIN_PROXY */
	__u32 pad;
};

#define ORIGIN_PROXY 0xffffffff

/* One record of the ring buffer: a flow that was judged or a packet that was refused. */
struct event {
	__u64 time; /* nanoseconds since boot */
	__u32 generation;
	__u32 client; /* workload, 0: none of this node */
	__u32 server;
	__u32 client_identity;
	__u32 server_identity;
	__u32 rule;
	struct addr src; /* of the client */
	struct addr dst; /* of the server */
	__u16 sport;
	__u16 dport; /* or ICMP type << 8 | code */
	__u16 l7_port;
	__u8 proto;
	__u8 verdict;
	__u8 half;
	__u8 l7;
	__u8 reason; /* enum drop_reason */
	__u8 hook;
	__u32 pad;
};

/* What a generation says of directions that no policy governs. */
struct ungoverned {
	struct entry entry;
};

/* Keeps types in the object that no map mentions, for Go. */
struct exported {
	struct event event;
	enum verdict verdict;
	enum half half;
	enum drop_reason drop_reason;
	enum hook hook;
	enum l7 l7;
	enum party_flag party_flag;
	enum table table;
	enum class class;
	enum table_flag table_flag;
	enum entry_kind entry_kind;
	enum entry_flag entry_flag;
	enum range_bits range_bits;
	enum flow_flag flow_flag;
};

const struct exported *exported __attribute__((unused));

_Static_assert(sizeof(struct addr) == 16, "addr");
_Static_assert(sizeof(struct owner) == 40, "owner");
_Static_assert(sizeof(struct prefix) == 20, "prefix");
_Static_assert(sizeof(struct row) == 16, "row");
_Static_assert(sizeof(struct entry_key) == 12, "entry_key");
_Static_assert(sizeof(struct range_key) == 16, "range_key");
_Static_assert(sizeof(struct entry) == 8, "entry");
_Static_assert(sizeof(struct name_key) == 24, "name_key");
_Static_assert(sizeof(struct slots) == 16 * SLOTS, "slots");
_Static_assert(sizeof(struct profile_key) == 24, "profile_key");
_Static_assert(sizeof(struct flow_key) == 40, "flow_key");
_Static_assert(sizeof(struct flow) == 56, "flow");
_Static_assert(sizeof(struct tuple) == 40, "tuple");
_Static_assert(sizeof(struct origin) == 16, "origin");
_Static_assert(sizeof(struct event) == 80, "event");

#endif
