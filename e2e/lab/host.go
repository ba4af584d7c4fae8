// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Host is a network namespace with a resolv.conf of its own. It has a loopback device that is
// up, and no other until Link makes one.
type Host struct {
	// Name is the short name, unique in the lab, e.g. "node".
	Name string
	// Namespace is the name in /run/netns, as "ip -n NAME" takes it.
	Namespace string

	lab        *Lab
	ns         netns.NsHandle
	links      *netlink.Handle
	resolvConf string
}

// HostConfig describes a host. The zero value of every field but Name is a plain end host.
type HostConfig struct {
	Name string
	// Forwarding makes the host route packets, IPv4 and IPv6.
	Forwarding bool
	// NoReversePath turns reverse-path filtering off, for packets that are routed by mark.
	NoReversePath bool
	// Resolvers and Search are written to the host's resolv.conf; see SetResolvers.
	Resolvers []netip.Addr
	Search    []string
}

// Host adds a host to the lab.
func (l *Lab) Host(config HostConfig) (*Host, error) {
	h := &Host{
		Name:       config.Name,
		Namespace:  prefix + l.ID + "-" + config.Name,
		lab:        l,
		resolvConf: filepath.Join(l.Dir, config.Name+".resolv.conf"),
	}
	if err := h.make(config); err != nil {
		return nil, fmt.Errorf("make host %s: %w", config.Name, err)
	}
	return h, nil
}

func (h *Host) make(config HostConfig) error {
	err := onThread(func() (err error) {
		h.ns, err = netns.NewNamed(h.Namespace)
		return err
	})
	if err != nil {
		return err
	}
	if err := h.lab.onClose(h.ns.Close); err != nil {
		return errors.Join(err, removeNamespaces(h.lab.ID))
	}
	if h.links, err = netlink.NewHandleAt(h.ns); err != nil {
		return err
	}
	if err := h.lab.onClose(func() error { h.links.Close(); return nil }); err != nil {
		return err
	}
	for _, setting := range sysctls(config) {
		if err := h.Sysctl(setting.key, setting.value); err != nil {
			return err
		}
	}
	if err := h.SetResolvers(config.Search, config.Resolvers...); err != nil {
		return err
	}
	lo, err := h.links.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.links.LinkSetUp(lo)
}

type sysctl struct{ key, value string }

// sysctls lists what a new host sets, in this order: duplicate address detection is off so
// that an address works at once, and forwarding comes before the addresses that it resets.
func sysctls(config HostConfig) []sysctl {
	settings := []sysctl{
		{"net/ipv6/conf/all/disable_ipv6", "0"},
		{"net/ipv6/conf/default/disable_ipv6", "0"},
		{"net/ipv6/conf/all/accept_dad", "0"},
		{"net/ipv6/conf/default/accept_dad", "0"},
		{"net/ipv6/conf/default/accept_ra", "0"},
		{"net/ipv6/conf/default/router_solicitations", "0"},
	}
	if config.Forwarding {
		settings = append(settings,
			sysctl{"net/ipv4/ip_forward", "1"},
			sysctl{"net/ipv6/conf/all/forwarding", "1"},
			sysctl{"net/ipv6/conf/default/forwarding", "1"})
	}
	if config.NoReversePath {
		settings = append(settings,
			sysctl{"net/ipv4/conf/all/rp_filter", "0"},
			sysctl{"net/ipv4/conf/default/rp_filter", "0"})
	}
	return settings
}

// Path is the file that names the namespace, as setns and netns.GetFromPath take it.
func (h *Host) Path() string { return filepath.Join(netnsRoot, h.Namespace) }

// Netlink is the host's netlink handle for what Host has no method for. The lab closes it.
func (h *Host) Netlink() *netlink.Handle { return h.links }

// Sysctl sets a kernel setting of the host's network, e.g. "net/ipv4/ip_forward" to "1".
func (h *Host) Sysctl(key, value string) error {
	return h.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
	})
}

// SetResolvers rewrites the host's resolv.conf in place, also for processes that run already.
// No resolvers leave a file with none, which makes the C library ask 127.0.0.1.
func (h *Host) SetResolvers(search []string, resolvers ...netip.Addr) error {
	var text strings.Builder
	for _, resolver := range resolvers {
		fmt.Fprintf(&text, "nameserver %s\n", resolver)
	}
	if len(search) > 0 {
		fmt.Fprintf(&text, "search %s\n", strings.Join(search, " "))
	}
	text.WriteString("options timeout:2 attempts:1\n")
	return os.WriteFile(h.resolvConf, []byte(text.String()), 0o644)
}

// Do runs fn on a thread in the host's network namespace. What fn opens there stays there:
// sockets may be used anywhere afterwards. A goroutine that fn starts is not in the namespace.
func (h *Host) Do(fn func() error) error {
	return onThread(func() error {
		if err := enterNetwork(int(h.ns)); err != nil {
			return err
		}
		return fn()
	})
}
