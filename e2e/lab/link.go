// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a link: a device of a host and its addresses with their prefix lengths.
type End struct {
	Host      *Host
	Device    string
	Addresses []netip.Prefix
}

// Link joins two hosts by a veth pair and returns when both ends carry packets.
func (l *Lab) Link(a, b End) error {
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: a.Device},
		PeerName:      b.Device,
		PeerNamespace: netlink.NsFd(int(b.Host.ns)),
	}
	if err := a.Host.links.LinkAdd(pair); err != nil {
		return fmt.Errorf("link %s of %s with %s of %s: %w", a.Device, a.Host.Name, b.Device, b.Host.Name, err)
	}
	for _, end := range []End{a, b} {
		if err := end.Host.setUp(end.Device); err != nil {
			return err
		}
		if err := end.Host.AddAddresses(end.Device, end.Addresses...); err != nil {
			return err
		}
	}
	return errors.Join(a.waitUp(), b.waitUp())
}

func (e End) waitUp() error {
	return Wait(5*time.Second, "carrier on "+e.Device+" of "+e.Host.Name, func() error {
		device, err := e.Host.links.LinkByName(e.Device)
		if err != nil {
			return err
		}
		if state := device.Attrs().OperState; state != netlink.OperUp {
			return fmt.Errorf("the device is %v", state)
		}
		return nil
	})
}

func (h *Host) setUp(device string) error {
	link, err := h.links.LinkByName(device)
	if err == nil {
		err = h.links.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set %s of %s up: %w", device, h.Name, err)
	}
	return nil
}

// AddAddresses adds addresses to a device ("lo" is one). IPv6 addresses are usable at once.
func (h *Host) AddAddresses(device string, addresses ...netip.Prefix) error {
	link, err := h.links.LinkByName(device)
	if err != nil {
		return fmt.Errorf("add addresses to %s of %s: %w", device, h.Name, err)
	}
	for _, address := range addresses {
		entry := &netlink.Addr{IPNet: ipNet(address)}
		if address.Addr().Is6() {
			entry.Flags = unix.IFA_F_NODAD
		}
		if err := h.links.AddrAdd(link, entry); err != nil {
			return fmt.Errorf("add %s to %s of %s: %w", address, device, h.Name, err)
		}
	}
	return nil
}

// AddRoute sends packets for a destination to a neighbour. A destination of length 0 is the
// default route. The gateway must be reachable by a device's address prefix.
func (h *Host) AddRoute(to netip.Prefix, via netip.Addr) error {
	route := &netlink.Route{Dst: ipNet(to), Gw: net.IP(via.AsSlice())}
	if err := h.links.RouteAdd(route); err != nil {
		return fmt.Errorf("add route to %s via %s on %s: %w", to, via, h.Name, err)
	}
	return nil
}

// RemoveDevice removes a device and with it the other end of its link.
func (h *Host) RemoveDevice(device string) error {
	link, err := h.links.LinkByName(device)
	if err == nil {
		err = h.links.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove %s of %s: %w", device, h.Name, err)
	}
	return nil
}

// ipNet keeps the host bits, which an interface address needs; for a route they are zero.
func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   net.IP(prefix.Addr().AsSlice()),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}
}
