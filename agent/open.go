// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mpol/agent/config"
	"mpol/agent/event"
	"mpol/agent/number"
	"mpol/agent/place"
	"mpol/agent/status"
	"mpol/bpf"
	"mpol/dnsproxy"
	"mpol/l7proxy"
)

// Files in the state folder.
const (
	numbersFile = "numbers"
	envoyFolder = "envoy"
)

// checkMachine says in one sentence what the configuration names and the machine lacks.
func (a *Agent) checkMachine() error {
	for _, name := range a.cfg.Uplinks {
		if _, err := net.InterfaceByName(name); err != nil {
			return fmt.Errorf("uplink %s: no such device; correct uplinks in the configuration", name)
		}
	}
	for _, w := range a.cfg.Workloads {
		if w.Interface != "" {
			if _, err := net.InterfaceByName(w.Interface); err != nil {
				return fmt.Errorf("workload %s: no device %s; create it first or correct interface", w.Name, w.Interface)
			}
		}
		if w.Cgroup != "" {
			folder := filepath.Join(a.cfg.CgroupRoot, w.Cgroup)
			if info, err := os.Stat(folder); err != nil || !info.IsDir() {
				return fmt.Errorf("workload %s: no cgroup %s; create it first or correct cgroup", w.Name, folder)
			}
		}
	}
	if a.cfg.CgroupRoot != "" {
		mount, err := place.Mount()
		if err != nil {
			return err
		}
		if rel, err := filepath.Rel(mount, a.cfg.CgroupRoot); err != nil || rel == "." || strings.HasPrefix(rel, "..") {
			return fmt.Errorf("cgroup_root %s must be a folder below the cgroup2 mount %s", a.cfg.CgroupRoot, mount)
		}
	}
	if err := checkBPFFS(a.cfg.BPFFS); err != nil {
		return err
	}
	// Numbers that begin anew would come to mean something else than in the maps that are pinned.
	if _, err := os.Stat(filepath.Join(a.cfg.State, numbersFile)); err != nil && bpf.Adoptable(a.cfg.BPFFS) {
		return fmt.Errorf("the node judges by numbers that state %s does not hold; restore it, or remove everything by mpol agent --cleanup: %w",
			a.cfg.State, err)
	}
	if _, err := exec.LookPath(a.cfg.Envoy); err != nil {
		return fmt.Errorf("no Envoy at %s; install it (make setup) or name the binary as envoy in the configuration", a.cfg.Envoy)
	}
	return nil
}

// claim makes this the only agent of the state folder.
func (a *Agent) claim() (err error) {
	if err := os.MkdirAll(a.cfg.State, 0o700); err != nil {
		return fmt.Errorf("make state folder: %w", err)
	}
	a.status, err = status.Listen(a.cfg.State, a.report)
	return err
}

// checkBPFFS says whether the folder is, or will be, on a bpffs.
func checkBPFFS(folder string) error {
	var on unix.Statfs_t
	at := folder
	err := unix.Statfs(at, &on)
	for errors.Is(err, os.ErrNotExist) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		err = unix.Statfs(at, &on)
	}
	switch {
	case err != nil:
		return fmt.Errorf("bpffs %s: %w", folder, err)
	case on.Type != unix.BPF_FS_MAGIC:
		return fmt.Errorf("bpffs %s is not on a bpffs; mount one (mount -t bpf bpf /sys/fs/bpf) or correct bpffs in the configuration", folder)
	}
	return nil
}

// open makes every other part. What it made before an error, undo closes.
func (a *Agent) open() error {
	own, err := ownCgroup(a.cfg)
	if err != nil {
		return err
	}
	if a.place, err = place.Open(own); err != nil {
		return err
	}
	// Before any socket of ours is made: a socket stays in the cgroup where it was made.
	if err := a.place.Enter(); err != nil {
		return err
	}
	if a.book, err = number.Open(filepath.Join(a.cfg.State, numbersFile)); err != nil {
		return err
	}
	if a.events, err = event.Open(a.cfg.Events.To); err != nil {
		return err
	}
	if a.datapath, err = bpf.Load(datapathConfig(a.cfg, own, a.book)); err != nil {
		return err
	}
	l7 := l7Config(a.cfg, own)
	l7.Log, l7.Event = a.log, a.request
	if a.l7, err = l7proxy.New(l7); err != nil {
		return err
	}
	a.dns, err = dnsproxy.New(a.dnsConfig())
	return err
}

func ownCgroup(cfg *config.Config) (string, error) {
	if cfg.OwnCgroup != "" {
		return cfg.OwnCgroup, nil
	}
	mount, err := place.Mount()
	return filepath.Join(mount, "mpol"), err
}

// datapathConfig is what Load and Cleanup share; numbers may be nil for Cleanup.
func datapathConfig(cfg *config.Config, own string, numbers bpf.Numbers) bpf.Config {
	return bpf.Config{
		BPFFS: cfg.BPFFS, CgroupRoot: cfg.CgroupRoot, Uplinks: cfg.Uplinks,
		ProxyCgroups: []string{filepath.Join(own, "agent"), filepath.Join(own, "envoy")},
		DNSPort:      cfg.Listen.DNS, Reject: cfg.Deny == "reject", EventsAll: cfg.Events.All, Numbers: numbers,
		Steering: bpf.Steering{
			Marks:  bpf.Marks{Redirect: cfg.Marks.Redirect, Loop: cfg.Marks.Loop, Upstream: cfg.Marks.Upstream},
			Tables: bpf.RouteTables{Redirect: cfg.RouteTables.Redirect, Loop: cfg.RouteTables.Loop},
		},
	}
}

// l7Config is what New and Cleanup share.
func l7Config(cfg *config.Config, own string) l7proxy.Config {
	envoy := cfg.Envoy
	if path, err := exec.LookPath(envoy); err == nil {
		envoy = path
	}
	return l7proxy.Config{
		Envoy: envoy, Dir: filepath.Join(cfg.State, envoyFolder), Cgroup: filepath.Join(own, "envoy"),
		FirstPort: cfg.Listen.L7First, LastPort: cfg.Listen.L7Last, Mark: cfg.Marks.Upstream,
	}
}

func (a *Agent) dnsConfig() dnsproxy.Config {
	refusal := dnsproxy.Refused
	if a.cfg.DNSRefusal == "nxdomain" {
		refusal = dnsproxy.NXDomain
	}
	return dnsproxy.Config{
		Listen: []netip.AddrPort{
			netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.cfg.Listen.DNS),
			netip.AddrPortFrom(netip.IPv6Loopback(), a.cfg.Listen.DNS),
		},
		Client: a.client, Commit: a.commit, Event: a.question,
		Refusal: refusal, Search: a.cfg.Search, Mark: a.cfg.Marks.Upstream,
		TTL: dnsproxy.TTL{Min: a.cfg.TTL.Min, Max: a.cfg.TTL.Max, Grace: a.cfg.TTL.Grace},
	}
}

// client tells the DNS proxy who asks.
func (a *Agent) client(proto uint8, client, server netip.AddrPort) (dnsproxy.Client, bool) {
	c, ok := a.datapath.Owner(proto, client, server)
	return dnsproxy.Client{Workload: c.Client, Server: c.Server, Receiver: c.Receiver}, ok
}

// commit opens the addresses of an answer in the kernel.
func (a *Agent) commit(ctx context.Context, g dnsproxy.Grant) error {
	sets := make([]bpf.SetKey, len(g.Sets))
	for i, s := range g.Sets {
		sets[i] = bpf.SetKey{Table: s.Table, Class: s.Class}
	}
	for _, addr := range g.Addresses {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.datapath.Learn(g.Workload, addr.Addr, sets, addr.TTL); err != nil {
			return fmt.Errorf("open %s to %s: %w", addr.Addr, g.Workload, err)
		}
	}
	return nil
}

// parts are the loops of a running agent.
type parts struct {
	failed chan error
	done   sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

// serve starts the loops; they end when ctx is done.
func (a *Agent) serve(ctx context.Context) *parts {
	p := &parts{failed: make(chan error, 3)}
	p.run(ctx, "datapath events", func() error { return a.datapath.Events(ctx, a.flow) })
	p.run(ctx, "DNS proxy", func() error { return a.dns.Serve(ctx) })
	p.run(ctx, "L7 proxy", func() error { return a.l7.Serve(ctx) })
	return p
}

func (p *parts) run(ctx context.Context, name string, loop func() error) {
	p.done.Go(func() {
		err := loop()
		if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
			return
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		err = fmt.Errorf("%s: %w", name, err)
		p.mu.Lock()
		p.errs = append(p.errs, err)
		p.mu.Unlock()
		p.failed <- err
	})
}

// wait returns when every loop has ended, with the errors that nobody has been told.
func (p *parts) wait() error {
	p.done.Wait()
	close(p.failed)
	var errs []error
	for err := range p.failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func removeFile(cfg *config.Config, name string) error {
	if err := os.Remove(filepath.Join(cfg.State, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func notEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// settle is how long Envoy may take to acknowledge a generation.
const settle = 30 * time.Second
