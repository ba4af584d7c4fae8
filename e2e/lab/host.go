// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is a network namespace with a resolv.conf of its own. It has a loopback device that is
// up, and no other until Link makes one.
type Host struct {
	// Name is the short name, unique in the lab, e.g. "node".
	Name string
	// Namespace is the name in /run/netns, as "ip -n NAME" takes it.
	Namespace string

	lab        *Lab
	resolvConf string

	mu    sync.RWMutex
	open  bool // ns and links may be used
	ns    netns.NsHandle
	links *netlink.Handle
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
	if h.links, err = netlink.NewHandleAt(h.ns); err != nil {
		return errors.Join(err, h.ns.Close())
	}
	h.open = true
	if err := h.lab.onClose(h.close); err != nil {
		return errors.Join(err, removeNamespaces(h.lab.ID))
	}
	for _, setting := range sysctls(config) {
		if err := h.Sysctl(setting.key, setting.value); err != nil {
			return err
		}
	}
	if err := h.SetResolvers(config.Search, config.Resolvers...); err != nil {
		return err
	}
	return h.setUp("lo")
}

// close makes the host useless. Without its sockets a netlink handle would act on the namespace
// of this process, and a closed descriptor's number may be another host's soon: hence the lock.
func (h *Host) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = false
	h.links.Close()
	return h.ns.Close()
}

// enter moves the current thread into the host's network namespace.
func (h *Host) enter() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.open {
		return errClosed
	}
	if err := unix.Setns(int(h.ns), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}

// configure calls fn with the host's netlink handle.
func (h *Host) configure(fn func(*netlink.Handle) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.open {
		return errClosed
	}
	return fn(h.links)
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

// Netlink is the host's netlink handle for what Host has no method for. The lab closes it; do not
// use it afterwards.
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
		if err := h.enter(); err != nil {
			return err
		}
		return fn()
	})
}
