// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"mpol/e2e/lab"
)

// machinePolicy lets one reach the internet, which the node itself is not, and one port of two.
const machinePolicy = `
@owner("net") policy one for one {
  egress {
    net: allow to internet on tcp/7000
    two: allow to two      on tcp/7000
  }
}
`

// soon waits for an outcome that the agent brings about when it has seen a change.
func soon(t *testing.T, what string, try func() string, want string) {
	t.Helper()
	err := lab.Wait(10*time.Second, what, func() error {
		if got := try(); got != want {
			return errors.New(got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestMachine_address gives the node another address: it is the node's, not the internet's.
func TestMachine_address(t *testing.T) {
	t.Parallel()
	n := start(t, setup{policy: machinePolicy})
	_, err := n.World.Node.Echo(at("::", 7000))
	check(t, err)
	_, err = n.Outside.Echo(netip.AddrPortFrom(n.C.IPv4, 7000))
	check(t, err)
	one := n.Device(0)
	for _, fresh := range []netip.Prefix{netip.MustParsePrefix("203.0.113.77/24"), netip.MustParsePrefix("2001:db8:ff::77/64")} {
		check(t, n.World.Node.AddAddresses(n.Uplink, fresh))
		soon(t, "the refusal of "+fresh.String(), func() string { return tcp(t, one, netip.AddrPortFrom(fresh.Addr(), 7000)) }, lab.Refused)
		compare(t,
			step{"the internet", tcp(t, one, netip.AddrPortFrom(n.C.IPv4, 7000)), lab.Answered},
			step{"an address from before", tcp(t, one, netip.AddrPortFrom(n.NodeAddresses[0], 7000)), lab.Refused})
	}
}

// TestMachine_device removes a workload's device and makes it again, as a restart of a container
// does: the workload is governed as before.
func TestMachine_device(t *testing.T) {
	t.Parallel()
	n := start(t, setup{policy: machinePolicy})
	w := n.Workloads[0]
	allowed, denied := netip.AddrPortFrom(n.C.IPv4, 7000), netip.AddrPortFrom(n.C.IPv4, 7001)
	_, err := n.Outside.Echo(allowed, denied)
	check(t, err)
	compare(t,
		step{"allowed, before", tcp(t, n.Device(0), allowed), lab.Answered},
		step{"denied, before", tcp(t, n.Device(0), denied), lab.Refused})
	check(t, n.World.Node.RemoveDevice(w.Device))
	near4, near6 := netip.MustParsePrefix("10.77.1.1/24"), netip.MustParsePrefix("fd77:0:0:1::1/64")
	check(t, n.Link(
		lab.End{Host: n.World.Node, Device: w.Device, Addresses: []netip.Prefix{near4, near6}},
		lab.End{Host: w.Host, Device: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(w.IPv4, 24), netip.PrefixFrom(w.IPv6, 64)}}))
	check(t, w.AddRoute(netip.PrefixFrom(netip.IPv4Unspecified(), 0), near4.Addr()))
	soon(t, "the device's return", func() string { return tcp(t, n.Device(0), allowed) }, lab.Answered)
	soon(t, "denied, afterwards", func() string { return tcp(t, n.Device(0), denied) }, lab.Refused)
}

// TestMachine_cgroup removes a host workload's cgroup and makes it again, as a restart of a service
// does.
func TestMachine_cgroup(t *testing.T) {
	t.Parallel()
	n := start(t, setup{policy: "@owner(\"net\") policy daemon for daemon { egress { two: allow to two on tcp/7000 } }\n"})
	two := n.Workloads[1]
	allowed, denied := netip.AddrPortFrom(two.IPv4, 7000), netip.AddrPortFrom(two.IPv4, 7001)
	_, err := two.Echo(allowed, denied)
	check(t, err)
	c := n.Service(daemon)
	compare(t, step{"before", tcp(t, c, allowed), lab.Answered})
	check(t, c.Cgroup.WaitEmpty())
	check(t, remakeFolder(c.Cgroup.Path))
	soon(t, "the service's return", func() string { return tcp(t, c, allowed) }, lab.Answered)
	compare(t, step{"denied, afterwards", tcp(t, c, denied), lab.Refused})
}

// remakeFolder removes a cgroup and makes another of its name.
func remakeFolder(path string) error {
	return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
}
