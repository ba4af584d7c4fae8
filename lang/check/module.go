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
	// Tiers ascend by order and include those that exist without a declaration.
	Tiers    []program.Tier `json:"tiers"`
	Policies []*Policy      `json:"policies"` // in file order
	Tests    []*Test        `json:"tests"`    // in file order
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
	Doc         string          `json:"doc,omitempty"`
	Annotations []Annotation    `json:"annotations"`
	Subject     program.Subject `json:"subject"`
	SubjectText string          `json:"subject_text"` // as written
	Tier        int             `json:"tier"`         // index into Module.Tiers
	Ingress     *Block          `json:"ingress,omitempty"`
	Egress      *Block          `json:"egress,omitempty"`
	Span        diag.Span       `json:"span"`      // the whole declaration
	NameSpan    diag.Span       `json:"name_span"` // its name
}

// Block is one direction of a policy; Span is that of the word ingress or egress.
type Block struct {
	Rules []*Rule   `json:"rules"`
	Span  diag.Span `json:"span"`
}

// Rule is one rule. Label is empty for a rule without a name.
type Rule struct {
	Label       string         `json:"label,omitempty"`
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
	// WholeIPv4 and WholeIPv6 say that the peers cover a family's whole public space.
	WholeIPv4 bool `json:"whole_ipv4"`
	WholeIPv6 bool `json:"whole_ipv6"`
	// Span is the whole rule, PlaceSpan its label or, without one, its action: what reports show.
	Span      diag.Span `json:"span"`
	PlaceSpan diag.Span `json:"place_span"`
	PeersSpan diag.Span `json:"peers_span"`
	L4Span    diag.Span `json:"l4_span"`
}

// Test is one test block.
type Test struct {
	Name    string      `json:"name"`
	Package string      `json:"package"`
	Parties []Party     `json:"parties"`
	Answers []Answer    `json:"answers"`
	Lines   []Assertion `json:"lines"`
	Span    diag.Span   `json:"span"`
}

// Party is a given workload (Outside is false) or a given outside host.
type Party struct {
	Name      string          `json:"name"`
	Outside   bool            `json:"outside,omitempty"`
	Labels    []program.Label `json:"labels,omitempty"` // sorted by key
	Addresses []netip.Addr    `json:"addresses,omitempty"`
	Span      diag.Span       `json:"span"`
}

// Answer is given dns "name" = addresses.
type Answer struct {
	Name      program.Name `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	Span      diag.Span    `json:"span"`
}

// Assertion is one line of a test: each of To on each of L4. By is the full name that "by" gives,
// resolved: package.policy.rule, tier.default, default or ungranted; empty without "by".
type Assertion struct {
	Want program.Action     `json:"want"`
	From End                `json:"from"`
	To   []End              `json:"to"`
	L4   []program.L4       `json:"l4"`
	HTTP *Request           `json:"http,omitempty"`
	SNI  string             `json:"sni,omitempty"`
	By   string             `json:"by,omitempty"`
	At   *program.Direction `json:"at,omitempty"`
	Span diag.Span          `json:"span"` // the whole line
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

// Request is the http request of an assertion, as written.
type Request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Host   string `json:"host,omitempty"`
}
