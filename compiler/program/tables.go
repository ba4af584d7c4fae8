// SPDX-License-Identifier: Apache-2.0

package program

import (
	"net/netip"
	"slices"
)

// Tables is the lowered policy: what the datapath, the DNS proxy and the L7 proxy enforce. It names
// rules by the Key of their Source and knows nothing of RuleIDs, which move with every edit.
//
// How a flow from client to server is judged. The client's egress table (if the client is a
// workload of this node, or the host and Host is set) is asked with the class of the server's identity,
// the server's ingress table (if the server is) with the class of the client's identity. In a table the most exact
// entry for (class, protocol, port) is the verdict; entries of one class never overlap, so there is
// one. No row for the direction means that it is ungoverned: Ungoverned is its verdict. An entry that
// is missing where a table exists is denied. In egress the names that the client has
// learned for the address are asked as well (NameSet.Class) and the answers merged: see Verdict.
// The flow is allowed when every half that exists allows it. It is redirected when it is allowed
// and the merged verdict of a half has an L7 kind. The reported half and rule: of a deny, egress
// before ingress; of a redirect, the first half with an L7 kind, egress before ingress; of an
// allow, egress if that half exists and has a row or there is no ingress half, else ingress. When
// neither half exists here the flow is none of ours, nor is one of a workload or the host with itself.
type Tables struct {
	Ungoverned Verdict    `json:"ungoverned"`
	Identities []Identity `json:"identities"` // sorted by key
	// Addresses map prefixes to identities, longest first match; sorted by prefix. 0.0.0.0/0 and
	// ::/0 are always there.
	Addresses []Address `json:"addresses"`
	// Sockets give the identities of host workloads, which are known by their sockets.
	Sockets []Socket `json:"sockets"`
	// Subjects are the local workloads, sorted by name.
	Subjects []Bound `json:"subjects"`
	// Host is who uses the node's addresses and is in no workload; nil where no policy is for it, so that
	// none of its flows is judged for its sake.
	Host   *Halves `json:"host,omitempty"`
	Tables []Table `json:"tables"` // sorted by key
	// Profiles are the L7 profiles, sorted by key; ProfileRows lead to them.
	Profiles    []Profile    `json:"profiles"`
	ProfileRows []ProfileRow `json:"profile_rows"`
}

// Identity is a set of labels (or host, or world) at a place of the address space. Its Key means
// the same set for ever.
type Identity struct {
	Key string `json:"key"`
}

// Address says whom a prefix belongs to.
type Address struct {
	Prefix   netip.Prefix `json:"prefix"`
	Identity int          `json:"identity"` // index into Identities
	// Cell is the index of the longest prefix named by the policies that contains the address; with
	// it and a workload, Sockets gives the identity of a host workload at this address.
	Cell int `json:"cell"`
	// Workload is the name of the interface workload that owns the address, or empty.
	Workload string `json:"workload,omitempty"`
	// Owned addresses belong to the node or to a workload: no name ever opens them.
	Owned bool `json:"owned,omitempty"`
	// Node marks addresses of the node itself, loopback included.
	Node bool `json:"node,omitempty"`
}

// Socket is the identity of a host workload when it is seen at an address of a cell.
type Socket struct {
	Workload string `json:"workload"`
	Cell     int    `json:"cell"`
	Identity int    `json:"identity"`
}

// Bound is one local workload with its tables; -1 means that the direction is ungoverned.
type Bound struct {
	Workload  string `json:"workload"`
	Interface string `json:"interface,omitempty"`
	Cgroup    string `json:"cgroup,omitempty"`
	Egress    int    `json:"egress"`
	Ingress   int    `json:"ingress"`
}

// Halves are the tables of the host by direction; -1 means that it is ungoverned.
type Halves struct {
	Egress  int `json:"egress"`
	Ingress int `json:"ingress"`
}

// Table is one direction of one set of policies.
type Table struct {
	// Key is a hash of all that decides an entry from a class: equal keys, equal verdicts. A table
	// may gain classes and members (a new workload) under its key, but no entry of it ever changes.
	Key string `json:"key"`
	// Lineage names the set of policies: it survives their edits. Profiles belong to lineages.
	Lineage   string    `json:"lineage"`
	Direction Direction `json:"direction"`
	// Classes fold identities that no rule of the table tells apart. The first is that of strangers:
	// of every identity that Members, which are sorted by identity, do not put into another one. It
	// does not hang on the inventory. Behind it come the others, sorted by key, then name sets.
	Classes []Class  `json:"classes"`
	Members []Member `json:"members"`
	// Names is set for an egress table with domain peers or dns parts.
	Names *Names `json:"names,omitempty"`
	// Questions is set with Names, and for an ingress table with dns parts.
	Questions []Question `json:"questions,omitempty"`
}

// Class returns the index of an identity's class.
func (t *Table) Class(identity int) int {
	i, ok := slices.BinarySearchFunc(t.Members, identity, func(m Member, identity int) int { return m.Identity - identity })
	if !ok {
		return 0
	}
	return t.Members[i].Class
}

// Class is a set of identities, or (Names) of learned addresses, that are alike to a table. Its
// Key says which peers of the table hold for it.
type Class struct {
	Key     string  `json:"key"`
	Names   bool    `json:"names,omitempty"`
	Entries []Entry `json:"entries"` // sorted by protocol, port, wider first
}

// Member puts an identity into a class; both are indexes.
type Member struct {
	Identity int `json:"identity"`
	Class    int `json:"class"`
}

// Entry is a verdict of a class for a protocol and a range of ports. Proto 0 with ports 0 to 65535
// stands for every protocol that has no entry of its own, a protocol with ports 0 to 65535 beside
// narrower entries for every port that has none: narrower beats wider, and of equal width there is
// one. ICMP has type<<8|code in place of a port.
type Entry struct {
	Proto   uint8   `json:"proto"`
	First   uint16  `json:"first"`
	Last    uint16  `json:"last"`
	Verdict Verdict `json:"verdict"`
}

// Verdict is what a table says of a flow.
//
// Two verdicts on one flow and half (that of the static class and that of each live name set)
// merge: the one with the lower Rank wins, among equals the one with the lower Order. L7 of the
// result is that of either; if both have one and they differ, or one is L7Mixed, the flow is denied.
type Verdict struct {
	Allow bool `json:"allow"`
	// L7 of an allow sends the flow to that proxy. Of a deny it says that an L7 rule would apply if
	// another verdict of the merge allowed the flow.
	L7 L7Kind `json:"l7,omitempty"`
	// Rank is the tier's index times 4 plus 0 for a deny, 1 for an allow, 3 for the tier's default;
	// 254 for ungranted, 255 for the program's default.
	Rank uint8 `json:"rank"`
	// Order is the place of the rule among those of the table, in file order.
	Order  uint16 `json:"order"`
	Log    bool   `json:"log,omitempty"`
	Reject bool   `json:"reject,omitempty"`
	// Rule is the Key of the rule or default that decided: for an allow with an L7 kind it is the
	// first allow in file order.
	Rule string `json:"rule"`
}

// Names is what an egress table says of learned names: which open what.
type Names struct {
	// Peers are the domain peers of the table. Each address of an answer belongs to the Set of exactly
	// those peers that the answer gives it to; one that is given to none stays closed.
	Peers []NamePeer `json:"peers"` // sorted by key
	Sets  []NameSet  `json:"sets"`
}

// NamePeer is a domain peer of some rules. An answer gives it an address where one of Servers gave the
// answer and is believed about the name that was asked for, where Domain.Gives says so of that name and
// of the alias chain, and where a name may open the address: one that is not Owned and outside of
// SpecialPurpose, or else in Domain.Private.
type NamePeer struct {
	Key     string       `json:"key"`
	Domain  Domain       `json:"domain"`
	Servers []NameServer `json:"servers"`
}

// NameServer is those who are asked for names: of the Classes of the table, sorted, every one where
// there are none, about the names of For, all where there are none.
type NameServer struct {
	Classes []int         `json:"classes,omitempty"`
	For     []NamePattern `json:"for,omitempty"`
}

// NameSet is a combination of name peers that one answer can give an address to; Class is its index in the
// table's Classes.
type NameSet struct {
	Peers []int `json:"peers"`
	Class int   `json:"class"`
}

// Question is a rule about DNS questions. A flow that is redirected to the DNS proxy carries questions; one
// is allowed when every half that exists allows it. Where the L7 kind of a half's verdict on the flow is
// L7DNS, the matching rule of its table with the lowest Rank, then Order, decides; the last of the list
// has no conditions, and without a match the question is denied. Where the half has no kind, its verdict
// on the flow decides, unless a Question that denies has a lower Rank, then Order; but a question for
// everything (ANY) is denied where the half is governed: what allows the flow does not allow that.
type Question struct {
	Verdict Verdict `json:"verdict"`
	// NameServer says whom it speaks of, by the class of the flow's other end (in egress the server, in
	// ingress who asks it), and about which names.
	NameServer
	// L4 are the protocols and ports of the flow; none is every one.
	L4 []L4 `json:"l4,omitempty"`
	// Any: every name; else those that Domain matches.
	Any    bool   `json:"any,omitempty"`
	Domain Domain `json:"domain"`
	// Types are those asked for; none is every one, but in an allow not ANY (255), which is allowed by
	// its own number alone.
	Types []uint16 `json:"types,omitempty"`
}
