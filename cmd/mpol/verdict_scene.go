// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/internal/inventory"
)

// endNode is the end of a flow that stands for the node's resolvers.
const endNode = "node"

// scene is who takes part in the flows of mpol verdict and mpol why, and what has been looked up.
// Every workload is enforced, wherever it runs.
type scene struct {
	*inventory.Inventory
	inv program.Inventory
	// ends are the workloads, host and node, by their names.
	ends map[string][]verdict.End
	// held are the names of answers by their holder and address, answers their addresses.
	held    map[held][]program.Name
	answers map[answer][]netip.Addr
}

// answer is a DNS name that a workload, or the host, has looked up.
type answer struct{ holder, name string }

// held is an address in an answer of a workload, or of the host.
type held struct {
	holder  string
	address netip.Addr
}

func newScene(in *inventory.Inventory) (*scene, error) {
	inv, err := in.Everyone()
	if err != nil {
		return nil, err
	}
	s := &scene{Inventory: in, inv: inv, held: map[held][]program.Name{}, answers: map[answer][]netip.Addr{}, ends: map[string][]verdict.End{}}
	s.place(inventory.Host, "", inv.Node)
	s.place(endNode, "", inv.Resolvers)
	for _, w := range inv.Workloads {
		if w.Cgroup != "" {
			s.place(w.Name, w.Name, inv.Node)
		} else {
			s.place(w.Name, w.Name, w.Addresses)
		}
	}
	for _, a := range in.Answers {
		by := answer{a.Holder, a.Name.String()}
		s.answers[by] = append(s.answers[by], a.Addresses...)
		for _, address := range a.Addresses {
			at := held{a.Holder, address}
			s.held[at] = append(s.held[at], a.Name)
		}
	}
	return s, nil
}

// place says at which addresses an end is.
func (s *scene) place(name, workload string, addresses []netip.Addr) {
	ends := make([]verdict.End, len(addresses))
	for i, a := range addresses {
		ends[i] = verdict.End{Workload: workload, Addr: a}
	}
	s.ends[name] = ends
}

// resolve states the resolvers of an inventory that states none.
func (s *scene) resolve(resolvers []netip.Addr) {
	s.inv.Resolvers = resolvers
	s.place(endNode, "", resolvers)
}

// at returns where an end of a flow may be, at each address that it has; an end that is a DNS name
// is not known here.
func (s *scene) at(text string) ([]verdict.End, error) {
	found, ok := s.find(text)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is no workload, no address and not host%s", text, s.instead(text))
	case len(found) == 0:
		return nil, errors.New("the inventory gives the host no addresses")
	}
	return found, nil
}

// instead says what to write where text is no end of a flow, or nothing.
func (s *scene) instead(text string) string {
	if _, err := netip.ParseAddrPort(text); err == nil {
		return "; the port belongs into l4"
	}
	if _, err := netip.ParsePrefix(text); err == nil {
		return "; write one address of the prefix"
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() != "" {
		return "; leave the zone away"
	}
	if near := s.Nearest(text); near != "" || !strings.Contains(text, ".") || !inventory.IsName(text) {
		return near
	}
	return "; only the server can be a DNS name"
}

func (s *scene) find(text string) ([]verdict.End, bool) {
	if found, ok := s.ends[text]; ok {
		return found, true
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return []verdict.End{{Addr: a.Unmap()}}, true
	}
	return nil, false
}

// isName reports whether the server of a flow is meant as a DNS name: it has a dot, or somebody has
// looked it up.
func (s *scene) isName(text string) bool {
	if _, known := s.find(text); known || !inventory.IsName(text) {
		return false
	}
	name := program.ParseName(text)
	return strings.Contains(text, ".") || slices.ContainsFunc(s.Answers, func(a inventory.Answer) bool { return slices.Equal(a.Name, name) })
}

// holder is the workload, or the host, to which an answer for an end belongs; empty for an end that
// is outside.
func (s *scene) holder(e verdict.End) string {
	if e.Workload != "" {
		return e.Workload
	}
	return s.Owner(e.Addr)
}
