// SPDX-License-Identifier: Apache-2.0

package program

// Profile is what the L7 proxy asks of the flows that the datapath hands to one of its listeners.
// A flow, and each request in it, is allowed when both halves allow it.
//
// Some requests are refused whatever the halves say: those that no proxy can read, with a path that
// cannot be judged or a method that HTTP does not know, and those that leave HTTP, by the method
// CONNECT or by a change of protocol, unless a rule of either half, allow or deny, names CONNECT
// among its methods or the protocol as its Upgrade.
type Profile struct {
	// Key is made of both lineages, both classes, the name set, the port and the kind of entry: it
	// survives edits of what the rules ask, so that live connections stay where they are.
	Key  string `json:"key"`
	Kind L7Kind `json:"kind"` // L7HTTP or L7TLS
	Port uint16 `json:"port"` // of the server
	// Looped flows come from host workloads and the host through the loopback device; the others from a device.
	Looped bool `json:"looped,omitempty"`
	// Local says that the server is a workload of this node behind a device, which therefore sees
	// the client's own address.
	Local bool `json:"local,omitempty"`
	// A nil half is absent and asks nothing.
	Egress  *Half `json:"egress,omitempty"`
	Ingress *Half `json:"ingress,omitempty"`
}

// Half is one direction of a profile: tiers in ascending order. The first tier that decides ends
// the search; a request that no tier decides is denied.
type Half struct {
	Tiers []HalfTier `json:"tiers"`
}

// HalfTier is the part of a tier that can apply: deny beats allow, allow beats the default.
type HalfTier struct {
	Deny  []RequestRule `json:"deny,omitempty"`
	Allow []RequestRule `json:"allow,omitempty"`
	// Default is Pass where the next tier is to be asked.
	Default     Action `json:"default"`
	DefaultRule string `json:"default_rule"` // the Key of its Source
}

// RequestRule is a rule as far as it speaks of requests. Every: each request matches (a rule
// without an L7 part), else one of HTTP, of GRPC or of SNI has to, of which one has elements. Names,
// of a domain peer: the Host or server name must match too; nil asks nothing.
//
// Among Allow a rule compares exactly, and what cannot be read does not match. Among Deny the case of
// a method and of a path and a slash at its end count for nothing, one line of a header suffices, and
// what cannot be read matches. Names are always compared without their case.
type RequestRule struct {
	Rule  string        `json:"rule"` // the Key of its Source
	Every bool          `json:"every,omitempty"`
	HTTP  []HTTPRequest `json:"http,omitempty"`
	GRPC  []GRPCMethod  `json:"grpc,omitempty"`
	SNI   []NamePattern `json:"sni,omitempty"`
	// SNISets are beside SNI, see L7.
	SNISets []Domain `json:"sni_sets,omitempty"`
	Names   *Domain  `json:"names,omitempty"`
}

// ProfileRow leads from a judged flow to its profile. Tables and classes are indexes, -1 where the
// half is absent or ungoverned; NameClass is -1 unless a live name set took part. A live name set
// takes part if its own entry for the flow is that of an allow rule (Rank modulo 4 is 1); where
// several do and their rows do not all lead to one profile, the flow is denied.
type ProfileRow struct {
	Egress       int    `json:"egress"`
	EgressClass  int    `json:"egress_class"`
	NameClass    int    `json:"name_class"`
	Ingress      int    `json:"ingress"`
	IngressClass int    `json:"ingress_class"`
	Port         uint16 `json:"port"`
	Looped       bool   `json:"looped,omitempty"`
	Profile      int    `json:"profile"`
}
