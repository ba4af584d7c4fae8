// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler/program"
)

// Node returns the inventory of a node as written: a workload without interface and cgroup runs on
// another node, and each is somewhere.
func (inv *Inventory) Node() (program.Inventory, error) {
	for _, w := range inv.Written.Workloads {
		if w.Cgroup == "" && len(w.Addresses) == 0 {
			return program.Inventory{}, inv.fault(w, errors.New("it has neither addresses nor a cgroup"))
		}
	}
	return inv.Written, nil
}

// Everyone returns an inventory in which each workload is enforced, wherever it runs; one without
// addresses lives at those of the host. No name is one that means something else in a flow.
func (inv *Inventory) Everyone() (program.Inventory, error) {
	out := inv.Written
	out.Workloads = slices.Clone(out.Workloads)
	for i := range out.Workloads {
		w := &out.Workloads[i]
		_, err := netip.ParseAddr(w.Name)
		switch {
		case w.Name == Host || w.Name == "node":
			return out, inv.fault(*w, errors.New("the name has a meaning of its own; choose another"))
		case err == nil:
			return out, inv.fault(*w, errors.New("the name is an address; choose another"))
		case w.Cgroup != "" || w.Interface != "" && len(w.Addresses) > 0:
		case len(w.Addresses) > 0:
			w.Interface = w.Name
		case len(out.Node) == 0:
			return out, inv.fault(*w, errors.New("it has no addresses, and there is no host whose it could share"))
		default:
			w.Interface, w.Cgroup = "", w.Name
		}
	}
	return out, nil
}

func (inv *Inventory) fault(w program.Workload, err error) error {
	return fmt.Errorf("line %d: workload %q: %w", inv.lines[w.Name], w.Name, err)
}
