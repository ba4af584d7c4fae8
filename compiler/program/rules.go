// SPDX-License-Identifier: Apache-2.0

package program

import (
	"net/netip"
	"slices"
)

// Rules is the resolved policy with the inventory it is judged against. Only the reference
// evaluator, reports and the test runner read it.
type Rules struct {
	// Default is what an ungoverned direction gets, DefaultRule its place.
	Default     Action `json:"default"`
	DefaultRule RuleID `json:"default_rule"`
	// Tiers ascend by Order; Policies are in file order and name a tier by index.
	Tiers    []Tier    `json:"tiers"`
	Policies []*Policy `json:"policies"`
	// Sources is indexed by RuleID; element 0 is empty.
	Sources   []*Source `json:"sources"`
	Inventory Inventory `json:"inventory"`
}

// Source returns what id stands for, the zero Source when there is no such rule.
func (r *Rules) Source(id RuleID) Source {
	if int(id) >= len(r.Sources) {
		return Source{}
	}
	return *r.Sources[id]
}

// Tier is one step of the search for a verdict.
type Tier struct {
	Name    string `json:"name"`
	Order   int    `json:"order"`
	Default Action `json:"default"`
}

// Policy is the rules of one subject. A nil block means that the policy lacks the direction.
type Policy struct {
	Name    string  `json:"name"` // package.policy
	Tier    int     `json:"tier"` // index into Rules.Tiers
	Subject Subject `json:"subject"`
	// Audit policies govern nothing and decide nothing, and so do audit rules: they report where the
	// verdict would be another one without the mark.
	Audit   bool   `json:"audit,omitempty"`
	Ingress *Block `json:"ingress,omitempty"`
	Egress  *Block `json:"egress,omitempty"`
}

// Block returns the rules of a direction, nil when the policy lacks it.
func (p *Policy) Block(d Direction) *Block {
	if d == Ingress {
		return p.Ingress
	}
	return p.Egress
}

// Subject says whom a policy governs: every workload, the host, or the workloads that a selector
// meets.
type Subject struct {
	All      bool      `json:"all,omitempty"`
	Host     bool      `json:"host,omitempty"`
	Selector *Selector `json:"selector,omitempty"`
}

// Block is one direction of a policy. "none" is a block without rules; one with audit rules only
// does not exist for verdicts. Default is the RuleID of the tier's default as reported at this
// block's ingress or egress word, Ungranted that of the end of a governed direction, 0 where no rule
// of the tier passes and so none can be reached.
type Block struct {
	Default   RuleID `json:"default"`
	Ungranted RuleID `json:"ungranted,omitempty"`
	Rules     []Rule `json:"rules"`
}

// Rule is one rule. A domain peer stands for itself and for the questions that it implies.
type Rule struct {
	ID     RuleID `json:"id"`
	Action Action `json:"action"`
	Peers  Peers  `json:"peers"`
	L4     []L4   `json:"l4"`
	L7     *L7    `json:"l7,omitempty"`
	Log    bool   `json:"log,omitempty"`
	Reject bool   `json:"reject,omitempty"`
	Audit  bool   `json:"audit,omitempty"` // see Policy.Audit
	// Resolvers answer for the domain peers of an allow: those that the block names, else "node".
	Resolvers []Resolver `json:"resolvers,omitempty"`
}

// Resolver is DNS servers whose answers are believed. One that is Node stands for the resolvers of
// the agent's configuration and has neither peers nor ports of its own.
type Resolver struct {
	Name  string `json:"name"` // package.resolver, or "node"
	Node  bool   `json:"node,omitempty"`
	Peers Peers  `json:"peers,omitzero"` // one prefix, one selector of workloads, or the host
	L4    []L4   `json:"l4,omitempty"`   // udp and tcp
	// For are the names that it is believed for, besides being names of the domain peer; empty is
	// every name.
	For []NamePattern `json:"for,omitempty"`
}

// Peers is a union less a union.
type Peers struct {
	Include []Peer `json:"include"`
	Except  []Peer `json:"except,omitempty"`
}

// PeerKind says which fields of a Peer count.
type PeerKind uint8

// The kinds of peers.
const (
	PeerAny       PeerKind = iota // workloads, host and world
	PeerWorkloads                 // every workload
	PeerHost                      // the node's addresses, in no workload
	PeerWorld                     // every other address
	PeerInternet                  // world without SpecialPurpose
	PeerSelector                  // workloads that Selector meets
	PeerPrefix                    // Prefix, whoever owns the address
	PeerDomain                    // Domain
	PeerSame                      // workloads whose label Key exists and equals the subject's
)

// String returns the word of the language or the noun for the kind.
func (k PeerKind) String() string {
	return [...]string{"any", "workloads", "host", "world", "internet", "selector", "prefix", "domain", "same"}[k]
}

// MarshalText implements encoding.TextMarshaler.
func (k PeerKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Peer is one term of a peer list with every name resolved.
type Peer struct {
	Kind     PeerKind     `json:"kind"`
	Selector *Selector    `json:"selector,omitempty"`
	Prefix   netip.Prefix `json:"prefix,omitzero"`
	Domain   *Domain      `json:"domain,omitempty"`
	Key      string       `json:"key,omitempty"` // of PeerSame
}

// Domain is a domain peer: the patterns of one domains name (its own excepts removed) or one
// pattern. Except are patterns taken away again, Less domains that have an except of their own.
type Domain struct {
	Patterns []NamePattern `json:"patterns"`
	Except   []NamePattern `json:"except,omitempty"`
	Less     []Domain      `json:"less,omitempty"`
	// Private are prefixes of world that the names may open beside internet.
	Private []netip.Prefix `json:"private,omitempty"`
	// Aliases: an answer counts as well when its alias chain passes through a name of these.
	Aliases []NamePattern `json:"aliases,omitempty"`
}

// Matches reports whether n is among the names of d.
func (d *Domain) Matches(n Name) bool {
	return matchesAny(d.Patterns, n) && !d.Excepts(n)
}

// Gives reports whether an answer is one of d: whether it was asked for by a name of d or, unless that
// is taken away, came by an alias of d. Via are the names of the answer's alias chain.
func (d *Domain) Gives(n Name, via []Name) bool {
	return !d.Excepts(n) && (matchesAny(d.Patterns, n) ||
		slices.ContainsFunc(via, func(v Name) bool { return matchesAny(d.Aliases, v) }))
}

// Excepts reports whether n is taken away from d.
func (d *Domain) Excepts(n Name) bool {
	return matchesAny(d.Except, n) || slices.ContainsFunc(d.Less, func(e Domain) bool { return e.Matches(n) })
}

func matchesAny(ps []NamePattern, n Name) bool {
	for _, p := range ps {
		if p.Matches(n) {
			return true
		}
	}
	return false
}

// L4 is a protocol with an inclusive range of ports, or of ICMP types and codes as type<<8|code.
// Any means every protocol; then the other fields are zero. A protocol without ports has the
// range 0 to 65535.
type L4 struct {
	Any   bool   `json:"any,omitempty"`
	Proto uint8  `json:"proto"` // IANA protocol number
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// IANA protocol numbers with a name in the language.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Contains reports whether l covers a protocol and port (0 where the protocol has none).
func (l L4) Contains(proto uint8, port uint16) bool {
	return l.Any || l.Proto == proto && l.First <= port && port <= l.Last
}

// L7 narrows a rule to some requests. Kind says which lists count.
type L7 struct {
	Kind L7Kind        `json:"kind"`
	HTTP []HTTPRequest `json:"http,omitempty"`
	// GRPC is of the kind L7HTTP: a rule has HTTP or GRPC, never both.
	GRPC []GRPCMethod  `json:"grpc,omitempty"`
	SNI  []NamePattern `json:"sni,omitempty"`
	// SNISets are server names beside SNI, of domains that have an except.
	SNISets []Domain `json:"sni_sets,omitempty"`
	// Pinned, of the kind L7TLS and with domain peers alone: the server name must match any pattern
	// of the rule through which the subject learned the very address. SNI is empty then.
	Pinned bool `json:"pinned,omitempty"`
	// DNS: names that may be asked, and types; no types means A, AAAA, HTTPS, SVCB in an allow and
	// every type in a deny.
	DNS   []NamePattern `json:"dns,omitempty"`
	Types []uint16      `json:"types,omitempty"`
}

// HTTPRequest is one line of an http part. No methods means any but CONNECT; Host may be nil. Of
// Headers all hold. Upgrade is the protocol, in lower case, that the request asks to change to;
// without one an allow speaks of requests that ask for none, a deny of all.
type HTTPRequest struct {
	Methods []string     `json:"methods,omitempty"`
	Path    PathPattern  `json:"path"`
	Host    *NamePattern `json:"host,omitempty"`
	Headers []Header     `json:"headers,omitempty"`
	Upgrade string       `json:"upgrade,omitempty"`
}

// Header is a condition on the lines of one header. In an allow every line must satisfy it, and
// there must be one unless Op is HeaderAbsent or HeaderNotEqual; in a deny one line suffices.
type Header struct {
	Name  string   `json:"name"` // lower case
	Op    HeaderOp `json:"op"`
	Value string   `json:"value,omitempty"` // RE2 over the whole value for HeaderMatches
}

// HeaderOp is what a condition asks of a header's lines.
type HeaderOp uint8

// The operations.
const (
	HeaderPresent HeaderOp = iota
	HeaderAbsent
	HeaderEqual
	HeaderNotEqual // line by line; holds where the header is absent
	HeaderMatches
)

// String returns the word or symbol of the language.
func (o HeaderOp) String() string { return [...]string{"present", "absent", "=", "!=", "~"}[o] }

// MarshalText implements encoding.TextMarshaler.
func (o HeaderOp) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// GRPCMethod is one method of a service, or all of them when Method is empty. Service has its
// package: "pay.v1.Pay". Its requests are POST over HTTP/2 to /Service/Method that ask for no change of
// protocol, with a content type of application/grpc, perhaps with a suffix or parameters, on every
// line; for a deny one such line suffices.
type GRPCMethod struct {
	Service string `json:"service"`
	Method  string `json:"method,omitempty"`
}

// PathPattern is a pattern over a judged path: Segments joined by "/", each a literal or any one
// non-empty segment; Subtree adds the path with a trailing slash and all below. "/" has no
// segments. TrailingSlash asks for a final slash ("/a/").
type PathPattern struct {
	Text          string    `json:"text"` // as written
	Segments      []Segment `json:"segments,omitempty"`
	Subtree       bool      `json:"subtree,omitempty"`
	TrailingSlash bool      `json:"trailing_slash,omitempty"`
	Regexp        string    `json:"regexp,omitempty"` // RE2 over the whole path, from ~"re"; then nothing else counts
}

// Segment is one segment of a path pattern: a literal in its judged form, or any.
type Segment struct {
	Literal string `json:"literal,omitempty"`
	Any     bool   `json:"any,omitempty"`
}
