// SPDX-License-Identifier: Apache-2.0

package check

import (
	"net/netip"

	"mpol/compiler/program"
	"mpol/lang/diag"
)

// Module is a whole set of checked files: every name resolved, every text turned into the value it
// stands for, every node with its place. Leaf values are those of package program, so that a name
// pattern or a path pattern is one type from the checker to the datapath.
type Module struct {
	Files   []string `json:"files"` // in file order
	Default *Default `json:"default"`
	// Packages are those of the files, by first file.
	Packages []Package `json:"packages"`
	// Tiers ascend by order and include those that exist without a declaration; TierPlaces are the
	// declarations, in file order.
	Tiers      []program.Tier `json:"tiers"`
	TierPlaces []TierPlace    `json:"tier_places"`
	Resolvers  []*Resolver    `json:"resolvers"` // in file order; "node" is not among them
	Policies   []*Policy      `json:"policies"`  // in file order
	Tests      []*Test        `json:"tests"`     // in file order
	Proofs     []*Proof       `json:"proofs"`    // in file order
}

// Package is the files of one package name; Imports are sorted, Span is the name in its first file.
type Package struct {
	Name    string    `json:"name"`
	Imports []string  `json:"imports"`
	Span    diag.Span `json:"span"`
}

// TierPlace is where a tier is declared; Tier is an index into Module.Tiers.
type TierPlace struct {
	Tier        int          `json:"tier"`
	Doc         string       `json:"doc,omitempty"`
	Annotations []Annotation `json:"annotations"`
	Span        diag.Span    `json:"span"`
}

// Resolver is a declared resolver.
type Resolver struct {
	Server      program.Resolver `json:"server"`
	Package     string           `json:"package"`
	Doc         string           `json:"doc,omitempty"`
	Annotations []Annotation     `json:"annotations"`
	PeersText   string           `json:"peers_text"` // as written
	Patterns    []Pattern        `json:"patterns"`   // of "for"
	Span        diag.Span        `json:"span"`
}

// Default is the program's default with its place.
type Default struct {
	Action program.Action `json:"action"`
	Span   diag.Span      `json:"span"`
}

// Annotation is @key("value", ...).
type Annotation struct {
	Key    string    `json:"key"`
	Values []string  `json:"values"`
	Span   diag.Span `json:"span"`
}

// Policy is one policy; Name is its full name, package.policy.
type Policy struct {
	Name        string          `json:"name"`
	Package     string          `json:"package"`
	Doc         string          `json:"doc,omitempty"`
	Annotations []Annotation    `json:"annotations"`
	Subject     program.Subject `json:"subject"`
	SubjectText string          `json:"subject_text"` // as written
	Tier        int             `json:"tier"`         // index into Module.Tiers
	// Audit policies govern nothing: each of their rules counts as an audit rule. AuditSpan is the
	// word.
	Audit     bool      `json:"audit,omitempty"`
	AuditSpan diag.Span `json:"audit_span,omitzero"`
	Ingress   *Block    `json:"ingress,omitempty"`
	Egress    *Block    `json:"egress,omitempty"`
	Span      diag.Span `json:"span"`      // the whole declaration
	NameSpan  diag.Span `json:"name_span"` // its name

	governs [2]bool // by direction
	may     [2]bool // by direction: governs, or would if what is wrong in it were right
	known   bool    // the subject and the tier are
}

// Block is one direction of a policy; Span is that of the word ingress or egress. Resolvers are
// those of "resolve via", empty without it, ResolversSpan its place.
type Block struct {
	Rules         []*Rule            `json:"rules"`
	Resolvers     []program.Resolver `json:"resolvers,omitempty"`
	Span          diag.Span          `json:"span"`
	ResolversSpan diag.Span          `json:"resolvers_span,omitzero"`

	sound bool // each of its rules is
}

// Rule is one rule. Label is empty for a rule without a name.
type Rule struct {
	Label       string         `json:"label"`
	Doc         string         `json:"doc,omitempty"`
	Annotations []Annotation   `json:"annotations"`
	Action      program.Action `json:"action"`
	Peers       program.Peers  `json:"peers"`
	PeersText   string         `json:"peers_text"` // as written
	L4          []program.L4   `json:"l4"`
	L4Text      string         `json:"l4_text"` // as written
	L7          *program.L7    `json:"l7,omitempty"`
	Log         bool           `json:"log,omitempty"`
	Reject      bool           `json:"reject,omitempty"`
	Audit       bool           `json:"audit,omitempty"` // by its own word; see also Policy.Audit
	// Resolvers answer for the domain peers of an allow: those of the block's "resolve via", else
	// "node". A name is believed of one if it matches the peer and the resolver's For.
	Resolvers []program.Resolver `json:"resolvers,omitempty"`
	// Terms are the peers as written, Patterns every name pattern of the rule, each with its place.
	Terms    []Term    `json:"terms"`
	Patterns []Pattern `json:"patterns"`
	// WholeIPv4 and WholeIPv6 say that the peers cover a family's whole public space.
	WholeIPv4 bool `json:"whole_ipv4"`
	WholeIPv6 bool `json:"whole_ipv6"`
	// Span is the whole rule, PlaceSpan its label or, without one, its action: what reports show.
	Span      diag.Span `json:"span"`
	PlaceSpan diag.Span `json:"place_span"`
	PeersSpan diag.Span `json:"peers_span"`
	L4Span    diag.Span `json:"l4_span"`
	L7Span    diag.Span `json:"l7_span,omitzero"`

	sound bool // without an error
}

// Term is one peer of a list as written: a word, a prefix, a selector, a domain or a name. Name is
// the full name of what is named (package.name) and Kind what that is: workload, cidrs or domains.
type Term struct {
	Text   string `json:"text"`
	Name   string `json:"name,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Except bool   `json:"except,omitempty"` // behind except
	// WholeIPv4 and WholeIPv6 say that the term by itself covers a family's whole public space.
	WholeIPv4 bool      `json:"whole_ipv4"`
	WholeIPv6 bool      `json:"whole_ipv6"`
	Span      diag.Span `json:"span"`

	selector *program.Selector // of a peer in parentheses
}

// Pattern is a name pattern where a rule or resolver uses it. Use is peer, except, alias, sni,
// host, dns or for. Registrable is the registrable domain of every name that it matches (the public
// suffix and one label more), empty when they have several or none. Span is where it is written or,
// of a domains name, where that stands in the rule.
type Pattern struct {
	Pattern     program.NamePattern `json:"pattern"`
	Use         string              `json:"use"`
	Wild        bool                `json:"wild,omitempty"`
	Registrable string              `json:"registrable,omitempty"`
	Span        diag.Span           `json:"span"`
}

// Test is one test block. A todo test may fail.
type Test struct {
	Name        string       `json:"name"`
	Package     string       `json:"package"`
	Todo        bool         `json:"todo,omitempty"`
	Annotations []Annotation `json:"annotations"`
	Parties     []Party      `json:"parties"`
	Answers     []Answer     `json:"answers"`
	Lines       []Assertion  `json:"lines"`
	Span        diag.Span    `json:"span"`
}

// Party is a given workload (Outside is false) or a given outside host.
type Party struct {
	Name      string          `json:"name"`
	Outside   bool            `json:"outside,omitempty"`
	Labels    []program.Label `json:"labels,omitempty"` // sorted by key
	Addresses []netip.Addr    `json:"addresses,omitempty"`
	Span      diag.Span       `json:"span"`
}

// Answer is given dns "name" via "alias" = addresses; Via is nil without an alias.
type Answer struct {
	Name      program.Name `json:"name"`
	Via       program.Name `json:"via,omitempty"`
	Addresses []netip.Addr `json:"addresses"`
	Span      diag.Span    `json:"span"`
}

// Assertion is one line of a test: each of To on each of L4. By is the full name that "by" gives,
// resolved: package.policy.rule, tier.default, default, ungranted or refused; empty without "by". At
// most one of HTTP, GRPC, DNS and SNI is set.
type Assertion struct {
	Want program.Action      `json:"want"`
	From End                 `json:"from"`
	To   []End               `json:"to"`
	L4   []program.L4        `json:"l4"`
	HTTP *Request            `json:"http,omitempty"`
	GRPC *program.GRPCMethod `json:"grpc,omitempty"`
	DNS  *Question           `json:"dns,omitempty"`
	SNI  string              `json:"sni,omitempty"`
	By   string              `json:"by,omitempty"`
	At   *program.Direction  `json:"at,omitempty"`
	Span diag.Span           `json:"span"` // the whole line
}

// End is one end of an assertion: exactly one field is set.
type End struct {
	Party string       `json:"party,omitempty"`
	Host  bool         `json:"host,omitempty"`
	Node  bool         `json:"node,omitempty"`
	Addr  netip.Addr   `json:"addr,omitzero"`
	Name  program.Name `json:"name,omitempty"`
	Span  diag.Span    `json:"span"`
}

// Request is the http request of an assertion, as written; what is not written is absent. Any stands
// for each method but CONNECT, and Method is empty then.
type Request struct {
	Method  string          `json:"method"`
	Any     bool            `json:"any,omitempty"`
	Path    string          `json:"path"`
	Host    string          `json:"host,omitempty"`
	Headers []RequestHeader `json:"headers,omitempty"`
	Upgrade string          `json:"upgrade,omitempty"` // lower case
}

// RequestHeader is one header line of a request; Name is in lower case.
type RequestHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Question is the DNS question of an assertion; Type is 0 when it is not stated.
type Question struct {
	Name program.Name `json:"name"`
	Type uint16       `json:"type,omitempty"`
}

// Proof is one prove block, decided by exact analysis and not by the checker.
type Proof struct {
	Name    string    `json:"name"`
	Package string    `json:"package"`
	Doc     string    `json:"doc,omitempty"`
	Claims  []Claim   `json:"claims"` // in file order
	Span    diag.Span `json:"span"`
}

// Claim is one line of a proof: never, or else always.
type Claim struct {
	Never    bool          `json:"never"`
	From     program.Peers `json:"from"`
	FromText string        `json:"from_text"` // as written
	To       program.Peers `json:"to"`
	ToText   string        `json:"to_text"` // as written
	L4       []program.L4  `json:"l4"`
	L7       *program.L7   `json:"l7,omitempty"`
	Span     diag.Span     `json:"span"` // the whole line
}
