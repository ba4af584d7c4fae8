// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"

	"mpol/compiler/program"
)

// place finds the devices and cgroups of the node that t and the configuration name, and lists what
// is attached to them. It changes nothing.
func (t *target) place(cfg *Config, subjects []program.Bound) error {
	for _, b := range subjects {
		if err := t.placeWorkload(cfg, b); err != nil {
			return fmt.Errorf("workload %s: %w", b.Workload, err)
		}
	}
	for _, name := range cfg.Uplinks {
		index, err := findDevice(name)
		if err != nil {
			return fmt.Errorf("uplink: %w", err)
		}
		if _, taken := t.devices[uint32(index)]; taken {
			return fmt.Errorf("device %s is an uplink and a workload's", name)
		}
		t.tcx(datapathProgFromUplink, ebpf.AttachTCXIngress, index)
	}
	lo, err := findDevice("lo")
	if err != nil {
		return err
	}
	t.tcx(datapathProgFromLoopback, ebpf.AttachTCXIngress, lo)
	return t.placeSockets(cfg)
}

func (t *target) placeWorkload(cfg *Config, b program.Bound) error {
	w := t.names.numbers[b.Workload]
	if b.Interface != "" {
		index, err := findDevice(b.Interface)
		if err != nil {
			return err
		}
		if other, taken := t.devices[uint32(index)]; taken {
			return fmt.Errorf("device %s is that of %s", b.Interface, t.names.workloads[other])
		}
		t.devices[uint32(index)], t.named[b.Interface] = w, index
		t.tcx(datapathProgFromWorkload, ebpf.AttachTCXIngress, index)
		t.tcx(datapathProgToWorkload, ebpf.AttachTCXEgress, index)
		return nil
	}
	if cfg.CgroupRoot == "" {
		return fmt.Errorf("it lives in cgroup %s and no cgroup_root is configured", b.Cgroup)
	}
	if !filepath.IsLocal(b.Cgroup) || filepath.Clean(b.Cgroup) == "." {
		return fmt.Errorf("cgroup %q is no folder below cgroup_root", b.Cgroup)
	}
	id, err := cgroupID(filepath.Join(cfg.CgroupRoot, b.Cgroup))
	if err != nil {
		return err
	}
	if other, taken := t.cgroups[id]; taken {
		return fmt.Errorf("cgroup %s is that of %s", b.Cgroup, t.names.workloads[other])
	}
	t.cgroups[id] = w
	return nil
}

// placeSockets lists the programs of cgroups: first those that judge, then those that steer, which
// lead nothing to where it is not judged.
func (t *target) placeSockets(cfg *Config) error {
	for _, folder := range cfg.ProxyCgroups {
		if err := t.atCgroup(datapathProgProxyOut, ebpf.AttachCGroupInetEgress, folder); err != nil {
			return err
		}
	}
	if cfg.CgroupRoot == "" {
		return nil
	}
	hooks := []cgroupHook{
		{name: datapathProgSocketOut, at: ebpf.AttachCGroupInetEgress},
		{name: datapathProgSocketIn, at: ebpf.AttachCGroupInetIngress},
	}
	for _, h := range append(hooks, steeringHooks(&datapathPrograms{})...) {
		if err := t.atCgroup(h.name, h.at, cfg.CgroupRoot); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) atCgroup(name string, at ebpf.AttachType, folder string) error {
	id, err := cgroupID(folder)
	if err != nil {
		return err
	}
	t.links = append(t.links, attachment{program: name, at: at, cgroup: folder, id: id})
	return nil
}

func (t *target) tcx(name string, at ebpf.AttachType, index int) {
	t.links = append(t.links, attachment{program: name, at: at, device: index, id: uint64(index)})
}
