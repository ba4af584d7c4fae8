// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// linksFolder holds the pins of links, below the folder of a layout.
const linksFolder = "links"

// attachment is a program at a place. Its name is that of the program and a number of the place;
// it is also the name of the pin, where bpffs takes no dots.
type attachment struct {
	program string
	at      ebpf.AttachType
	device  int    // tcx
	cgroup  string // folder
	id      uint64 // of the place
}

func (a attachment) name() string { return fmt.Sprintf("%s-%d", a.program, a.id) }

// links are the attached programs of a node. Their pins keep them attached without a process.
type links struct {
	dir      string
	programs map[string]*ebpf.Program
	open     map[string]link.Link
}

func programsByName(p *datapathPrograms) map[string]*ebpf.Program {
	m := map[string]*ebpf.Program{
		datapathProgFromWorkload: p.FromWorkload, datapathProgToWorkload: p.ToWorkload,
		datapathProgFromUplink: p.FromUplink, datapathProgFromLoopback: p.FromLoopback,
		datapathProgSocketOut: p.SocketOut, datapathProgSocketIn: p.SocketIn, datapathProgProxyOut: p.ProxyOut,
	}
	for _, h := range steeringHooks(p) {
		m[h.name] = h.program
	}
	return m
}

// openLinks adopts the links that are pinned: it gives each the program of this process, and
// forgets those whose device or cgroup is gone.
func openLinks(dir string, p *datapathPrograms) (*links, error) {
	l := &links{dir: dir, programs: programsByName(p), open: map[string]link.Link{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of links: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read folder of links: %w", err)
	}
	for _, e := range entries {
		if err := l.adopt(e.Name()); err != nil {
			return nil, errors.Join(fmt.Errorf("adopt link %s: %w", e.Name(), err), l.close())
		}
	}
	return l, nil
}

func (l *links) adopt(name string) error {
	ln, err := link.LoadPinnedLink(filepath.Join(l.dir, name), nil)
	if err != nil {
		return err
	}
	l.open[name] = ln
	alive, err := isAlive(ln)
	if err != nil || !alive {
		return errors.Join(err, l.detach(name))
	}
	program, _, _ := strings.Cut(name, "-")
	if l.programs[program] == nil {
		return l.detach(name) // of a hook that is no more
	}
	return ln.Update(l.programs[program])
}

// isAlive reports whether the place of a link still exists.
func isAlive(ln link.Link) (bool, error) {
	info, err := ln.Info()
	if err != nil {
		return false, err
	}
	if tcx := info.TCX(); tcx != nil {
		return tcx.Ifindex != 0, nil
	}
	if cgroup := info.Cgroup(); cgroup != nil {
		return cgroup.CgroupId != 0, nil
	}
	return true, nil
}

// attach attaches what is missing of want. After an error nothing of it is left.
func (l *links) attach(want []attachment) error {
	var fresh []string
	for _, a := range want {
		if l.open[a.name()] != nil {
			continue
		}
		if err := l.attachOne(a); err != nil {
			errs := []error{fmt.Errorf("attach %s: %w", a.program, err)}
			for i := len(fresh) - 1; i >= 0; i-- {
				errs = append(errs, l.detach(fresh[i]))
			}
			return errors.Join(errs...)
		}
		fresh = append(fresh, a.name())
	}
	return nil
}

func (l *links) attachOne(a attachment) (err error) {
	var ln link.Link
	if a.cgroup != "" {
		ln, err = link.AttachCgroup(link.CgroupOptions{
			Path: a.cgroup, Attach: a.at, Program: l.programs[a.program],
		})
	} else {
		ln, err = link.AttachTCX(link.TCXOptions{
			Interface: a.device, Attach: a.at, Program: l.programs[a.program], Anchor: link.Head(),
		})
	}
	if err != nil {
		return err
	}
	if err := ln.Pin(filepath.Join(l.dir, a.name())); err != nil {
		return errors.Join(err, ln.Close())
	}
	l.open[a.name()] = ln
	return nil
}

// keepOnly detaches what is not wanted.
func (l *links) keepOnly(want []attachment) error {
	wanted := map[string]bool{}
	for _, a := range want {
		wanted[a.name()] = true
	}
	var errs []error
	for name := range l.open {
		if !wanted[name] {
			errs = append(errs, l.detach(name))
		}
	}
	return errors.Join(errs...)
}

func (l *links) detach(name string) error {
	ln := l.open[name]
	delete(l.open, name)
	if err := errors.Join(ln.Unpin(), ln.Close()); err != nil {
		return fmt.Errorf("detach %s: %w", name, err)
	}
	return nil
}

// close forgets the links and leaves them attached.
func (l *links) close() error {
	var errs []error
	for _, ln := range l.open {
		errs = append(errs, ln.Close())
	}
	l.open = nil
	return errors.Join(errs...)
}

// detachAll detaches every link that is pinned in a folder, at once: when a pin alone is removed the
// kernel takes its time.
func detachAll(dir string) error {
	pins, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read folder of links: %w", err)
	}
	var errs []error
	for _, pin := range pins {
		ln, err := link.LoadPinnedLink(filepath.Join(dir, pin.Name()), nil)
		if err != nil {
			errs = append(errs, fmt.Errorf("open link %s: %w", pin.Name(), err))
			continue
		}
		errs = append(errs, ln.Unpin(), ln.Close())
	}
	return errors.Join(errs...)
}

// findDevice looks a device up and refuses those whose packets the programs could not read or lead.
func findDevice(name string) (int, error) {
	found, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return 0, fmt.Errorf("device %s does not exist", name)
	}
	if err != nil {
		return 0, fmt.Errorf("find device %s: %w", name, err)
	}
	attrs := found.Attrs()
	if attrs.EncapType != "ether" && attrs.EncapType != "loopback" {
		return 0, fmt.Errorf("device %s has no Ethernet headers (%s), which is not supported yet", name, attrs.EncapType)
	}
	if attrs.MasterIndex != 0 {
		return 0, fmt.Errorf("device %s is a port of a bridge or bond, which is not supported yet: route to it", name)
	}
	return attrs.Index, nil
}
