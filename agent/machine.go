// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	"mpol/agent/place"
	"mpol/compiler/program"
)

// glance is how often the machine is looked at for what moved: a device or a cgroup that was made
// anew carries no program, an address that the node got meanwhile is taken for a stranger's.
const glance = time.Second

// machine is what a generation rests on besides the files.
type machine struct {
	inv program.Inventory
	// places are the numbers of the devices and cgroups that the configuration names; 0 where
	// there is none.
	places string
}

// look asks the machine.
func (a *Agent) look() (machine, error) {
	found, err := discover()
	if err != nil {
		return machine{}, err
	}
	numbers := map[string]uint64{}
	device := func(name string) {
		if found, err := net.InterfaceByName(name); err == nil {
			numbers["device "+name] = uint64(found.Index)
		}
	}
	for _, name := range a.cfg.Uplinks {
		device(name)
	}
	for _, w := range a.cfg.Workloads {
		if w.Interface != "" {
			device(w.Interface)
		}
		if w.Cgroup != "" {
			if id, err := place.ID(filepath.Join(a.cfg.CgroupRoot, w.Cgroup)); err == nil {
				numbers["cgroup "+w.Cgroup] = id
			}
		}
	}
	return machine{a.cfg.Inventory(found), fmt.Sprint(numbers)}, nil // Sprint sorts the keys
}

// moved reports whether the machine is another than at the last reload. What cannot be looked at is
// taken to be as it was.
func (a *Agent) moved() bool {
	now, err := a.look()
	return err == nil && fmt.Sprint(now) != a.seen
}
