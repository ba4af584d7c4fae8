// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// World is the usual lab: a node between its workloads and the outside.
//
//	w1 eth0 ─ w1 ┐
//	w2 eth0 ─ w2 ┤ node uplink ─ eth0 outside: 198.51.100.53 resolver
//	w3 eth0 ─ w3 ┘                             198.51.100.10 a.example, b.example
//	                                           198.51.100.20 c.example
//
// Everything has an IPv6 address too: 2001:db8:100::53, ::10 and ::20 outside. The node routes
// and has nothing of mpol on it. Every host asks the resolver; its records live 60 seconds.
type World struct {
	*Lab
	// Node is the machine under test.
	Node *Host
	// Uplink is the node's device towards the outside.
	Uplink string
	// NodeAddresses are all addresses of the node but loopback's.
	NodeAddresses []netip.Addr
	// Workloads are w1, w2 and so on, in this order.
	Workloads []Workload
	Outside   *Host
	Resolver  *Unbound
	// Resolver4 and Resolver6 are the resolver's addresses.
	Resolver4, Resolver6 netip.Addr
	// AB is the web server of a.example and b.example, C that of c.example.
	AB, C Site
}

// Site is a web server outside, at both its addresses on port 80 and 443.
type Site struct {
	*Web
	IPv4, IPv6 netip.Addr
}

// Workload is a host behind a device of the node.
type Workload struct {
	*Host
	// Device is the node's end of the link; the workload's own is eth0.
	Device     string
	IPv4, IPv6 netip.Addr
}

// WorldConfig describes a world. The zero value has three workloads.
type WorldConfig struct {
	// Workloads is their number, at most 200; 0 means 3.
	Workloads int
	// Records are added to the resolver's own; see UnboundConfig.
	Records []string
}

// outside4 and outside6 are the outside's addresses that end with this number.
func outside4(last byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, last}) }

func outside6(last byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0x00, 15: last})
}

// NewWorld makes a lab with a world in it. Close closes both. The resolver ends with ctx.
func NewWorld(ctx context.Context, config WorldConfig) (*World, error) {
	l, err := New()
	if err != nil {
		return nil, err
	}
	w := &World{Lab: l, Uplink: "uplink"}
	w.Resolver4, w.Resolver6 = outside4(53), outside6(0x53)
	w.AB.IPv4, w.AB.IPv6 = outside4(10), outside6(0x10)
	w.C.IPv4, w.C.IPv6 = outside4(20), outside6(0x20)
	if err := w.build(ctx, config); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return w, nil
}

func (w *World) build(ctx context.Context, config WorldConfig) error {
	count := config.Workloads
	if count == 0 {
		count = 3
	}
	if count < 0 || count > 200 {
		return fmt.Errorf("make world: %d workloads, want 1 to 200", count)
	}
	if err := w.buildNode(); err != nil {
		return err
	}
	if err := w.buildOutside(ctx, config.Records); err != nil {
		return err
	}
	for number := 1; number <= count; number++ {
		if err := w.addWorkload(number); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) buildNode() (err error) {
	w.Node, err = w.Host(HostConfig{
		Name: "node", Forwarding: true, NoReversePath: true, Resolvers: []netip.Addr{w.Resolver4},
	})
	if err != nil {
		return err
	}
	w.Outside, err = w.Host(HostConfig{Name: "outside", Resolvers: []netip.Addr{w.Resolver4}})
	if err != nil {
		return err
	}
	node4, node6 := netip.MustParsePrefix("203.0.113.1/24"), netip.MustParsePrefix("2001:db8:ff::1/64")
	far4, far6 := netip.MustParsePrefix("203.0.113.2/24"), netip.MustParsePrefix("2001:db8:ff::2/64")
	w.NodeAddresses = []netip.Addr{node4.Addr(), node6.Addr()}
	err = w.Link(
		End{w.Node, w.Uplink, []netip.Prefix{node4, node6}},
		End{w.Outside, "eth0", []netip.Prefix{far4, far6}},
	)
	return errors.Join(err, w.Node.addDefaults(far4.Addr(), far6.Addr()), w.Outside.addDefaults(node4.Addr(), node6.Addr()))
}

// addDefaults adds the default routes of both families.
func (h *Host) addDefaults(via4, via6 netip.Addr) error {
	return errors.Join(
		h.AddRoute(netip.PrefixFrom(netip.IPv4Unspecified(), 0), via4),
		h.AddRoute(netip.PrefixFrom(netip.IPv6Unspecified(), 0), via6))
}

func (w *World) buildOutside(ctx context.Context, records []string) (err error) {
	for _, address := range []netip.Addr{
		w.Resolver4, w.AB.IPv4, w.C.IPv4, w.Resolver6, w.AB.IPv6, w.C.IPv6,
	} {
		if err := w.Outside.AddAddresses("lo", netip.PrefixFrom(address, address.BitLen())); err != nil {
			return err
		}
	}
	w.Resolver, err = w.Outside.Unbound(ctx, UnboundConfig{
		Addresses: []netip.Addr{w.Resolver4, w.Resolver6},
		Records:   append(w.records(), records...),
	})
	if err != nil {
		return err
	}
	if err := w.AB.start(w.Outside, "ab", "a.example", "b.example"); err != nil {
		return err
	}
	return w.C.start(w.Outside, "c", "c.example")
}

func (s *Site) start(host *Host, name string, names ...string) (err error) {
	at := func(port uint16) []netip.AddrPort {
		return []netip.AddrPort{netip.AddrPortFrom(s.IPv4, port), netip.AddrPortFrom(s.IPv6, port)}
	}
	s.Web, err = host.Web(WebConfig{Name: name, Plain: at(80), TLS: at(443), TLSNames: names})
	return err
}

func (w *World) records() []string {
	var records []string
	add := func(name string, v4, v6 netip.Addr) {
		records = append(records,
			fmt.Sprintf("%s. 60 IN A %s", name, v4),
			fmt.Sprintf("%s. 60 IN AAAA %s", name, v6))
	}
	add("a.example", w.AB.IPv4, w.AB.IPv6)
	add("b.example", w.AB.IPv4, w.AB.IPv6)
	add("c.example", w.C.IPv4, w.C.IPv6)
	return records
}

// addWorkload adds workload N: 10.77.N.2/24 and fd77:0:0:N::2/64, the node's end is .1 and ::1.
func (w *World) addWorkload(number int) error {
	name := fmt.Sprintf("w%d", number)
	host, err := w.Host(HostConfig{Name: name, Resolvers: []netip.Addr{w.Resolver4}})
	if err != nil {
		return err
	}
	at := func(last byte) (v4, v6 netip.Prefix) {
		v4 = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(number), last}), 24)
		v6 = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x77, 7: byte(number), 15: last}), 64)
		return v4, v6
	}
	near4, near6 := at(1)
	own4, own6 := at(2)
	err = w.Link(
		End{w.Node, name, []netip.Prefix{near4, near6}},
		End{host, "eth0", []netip.Prefix{own4, own6}},
	)
	if err != nil {
		return err
	}
	w.NodeAddresses = append(w.NodeAddresses, near4.Addr(), near6.Addr())
	w.Workloads = append(w.Workloads, Workload{Host: host, Device: name, IPv4: own4.Addr(), IPv6: own6.Addr()})
	return host.addDefaults(near4.Addr(), near6.Addr())
}
