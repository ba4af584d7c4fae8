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
	if err := a.join(b); err != nil {
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

// join makes both devices at once, each in the namespace of its host.
func (e End) join(other End) error {
	return e.Host.configure(func(links *netlink.Handle) error {
		other.Host.mu.RLock()
		defer other.Host.mu.RUnlock()
		if !other.Host.open {
			return errClosed
		}
		return links.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: e.Device},
			PeerName:      other.Device,
			PeerNamespace: netlink.NsFd(int(other.Host.ns)),
		})
	})
}

func (e End) waitUp() error {
	return Wait(5*time.Second, "carrier on "+e.Device+" of "+e.Host.Name, func() error {
		return e.Host.device(e.Device, func(_ *netlink.Handle, link netlink.Link) error {
			if state := link.Attrs().OperState; state != netlink.OperUp {
				return fmt.Errorf("the device is %v", state)
			}
			return nil
		})
	})
}

// device calls fn with a device of the host.
func (h *Host) device(name string, fn func(*netlink.Handle, netlink.Link) error) error {
	err := h.configure(func(links *netlink.Handle) error {
		link, err := links.LinkByName(name)
		if err != nil {
			return err
		}
		return fn(links, link)
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, h.Name, err)
	}
	return nil
}

func (h *Host) setUp(device string) error {
	err := h.device(device, (*netlink.Handle).LinkSetUp)
	if err != nil {
		return fmt.Errorf("set up %w", err)
	}
	return nil
}

// AddAddresses adds addresses to a device ("lo" is one). IPv6 addresses are usable at once.
func (h *Host) AddAddresses(device string, addresses ...netip.Prefix) error {
	for _, address := range addresses {
		entry := &netlink.Addr{IPNet: ipNet(address)}
		if address.Addr().Is6() {
			entry.Flags = unix.IFA_F_NODAD
		}
		err := h.device(device, func(links *netlink.Handle, link netlink.Link) error {
			return links.AddrAdd(link, entry)
		})
		if err != nil {
			return fmt.Errorf("add %s to %w", address, err)
		}
	}
	return nil
}

// AddRoute sends packets for a destination to a neighbour. A destination of length 0 is the
// default route. The gateway must be reachable by a device's address prefix.
func (h *Host) AddRoute(to netip.Prefix, via netip.Addr) error {
	route := &netlink.Route{Dst: ipNet(to), Gw: net.IP(via.AsSlice())}
	err := h.configure(func(links *netlink.Handle) error { return links.RouteAdd(route) })
	if err != nil {
		return fmt.Errorf("add route to %s via %s on %s: %w", to, via, h.Name, err)
	}
	return nil
}

// RemoveDevice removes a device and with it the other end of its link.
func (h *Host) RemoveDevice(device string) error {
	if err := h.device(device, (*netlink.Handle).LinkDel); err != nil {
		return fmt.Errorf("remove %w", err)
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
