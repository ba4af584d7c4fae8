// SPDX-License-Identifier: Apache-2.0

package program

import (
	"net/netip"
	"slices"
)

// Selector is a Boolean expression over labels. Op says which fields count.
type Selector struct {
	Op     SelectorOp  `json:"op"`
	Key    string      `json:"key,omitempty"`    // OpIn, OpHas
	Values []string    `json:"values,omitempty"` // OpIn: sorted, at least one
	Args   []*Selector `json:"args,omitempty"`   // OpAnd, OpOr: at least two; OpNot: one
}

// SelectorOp is the operator of a Selector.
type SelectorOp uint8

// The operators: k = "v" is OpIn with one value, k != "v" is OpNot over OpIn.
const (
	OpIn SelectorOp = iota
	OpHas
	OpAnd
	OpOr
	OpNot
)

// String returns the word of the language.
func (o SelectorOp) String() string { return [...]string{"in", "has", "and", "or", "not"}[o] }

// MarshalText implements encoding.TextMarshaler.
func (o SelectorOp) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Label is one key with its value.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Inventory is what the node knows: who runs where, and its own addresses.
type Inventory struct {
	Workloads []Workload   `json:"workloads"` // sorted by name, names unique
	Node      []netip.Addr `json:"node"`      // addresses of this node, sorted
	Resolvers []netip.Addr `json:"resolvers"` // of the agent's configuration: the resolver "node", sorted
}

// Workload is one instance of a workload.
type Workload struct {
	Name   string  `json:"name"`
	Labels []Label `json:"labels"` // sorted by key
	// Addresses are its own; a workload in a cgroup has none, it shares the node's.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Interface is the host-side device of an interface workload of this node, Cgroup the path of a
	// host workload's cgroup below the configured root. Neither: it runs on another node.
	Interface string `json:"interface,omitempty"`
	Cgroup    string `json:"cgroup,omitempty"`
}

// Local reports whether w runs on this node and is therefore enforced here.
func (w *Workload) Local() bool { return w.Interface != "" || w.Cgroup != "" }

// fewLabels are found sooner one by one.
const fewLabels = 8

// Label returns the value of a label and whether w has it.
func (w *Workload) Label(key string) (string, bool) {
	if len(w.Labels) <= fewLabels {
		for i := range w.Labels {
			if w.Labels[i].Key == key {
				return w.Labels[i].Value, true
			}
		}
		return "", false
	}
	i, ok := slices.BinarySearchFunc(w.Labels, key, func(l Label, k string) int {
		switch {
		case l.Key < k:
			return -1
		case l.Key > k:
			return 1
		}
		return 0
	})
	if !ok {
		return "", false
	}
	return w.Labels[i].Value, true
}

// SpecialPurpose are the blocks of world that internet lacks.
func SpecialPurpose() []netip.Prefix {
	texts := []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
		"172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
		"2002::/16", "fc00::/7", "fe80::/10", "ff00::/8",
	}
	ps := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		ps[i] = netip.MustParsePrefix(t)
	}
	return ps
}
