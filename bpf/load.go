// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// layoutVersion changes when maps of the same shape come to mean something else.
const layoutVersion = 2

// Datapath is the loaded programs and maps of one node. Its methods may be called from several
// goroutines, but there is one Stage at a time.
type Datapath struct {
	cfg   Config
	dir   string // of this layout, below cfg.BPFFS
	objs  datapathObjects
	state *state
	links *links

	// learning makes reading and writing the slots of an address one step.
	learning sync.Mutex

	mu     sync.Mutex
	known  names
	staged bool
}

// names say what numbers of the kernel stand for.
type names struct {
	workloads map[uint32]string
	rules     map[uint32]string
	numbers   map[string]uint32 // of workloads
}

// Load puts the programs into the kernel, or adopts the maps and links that an earlier process of
// the same layout left pinned: its generation then goes on judging, by the programs of this one.
// Nothing is attached that was not before: that is for Commit. The caller closes the Datapath.
func Load(cfg Config) (*Datapath, error) {
	d, err := load(cfg)
	if err != nil {
		return nil, fmt.Errorf("load datapath: %w", err)
	}
	return d, nil
}

func load(cfg Config) (_ *Datapath, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := Probe(); err != nil {
		return nil, err
	}
	spec, err := loadDatapath()
	if err != nil {
		return nil, err
	}
	for name, size := range cfg.Sizes.of() {
		if size != 0 {
			spec.Maps[name].MaxEntries = size
		}
	}
	if err := cfg.set(spec); err != nil {
		return nil, err
	}
	d := &Datapath{cfg: cfg, dir: filepath.Join(cfg.BPFFS, layout(spec))}
	if err := checkBPFFS(cfg.BPFFS); err != nil {
		return nil, err
	}
	fresh := !exists(d.dir)
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder on bpffs: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
			if fresh {
				err = errors.Join(err, os.RemoveAll(d.dir))
				os.Remove(cfg.BPFFS) // unless it holds something of others
			}
		}
	}()
	for name, m := range spec.Maps {
		if !strings.HasPrefix(name, ".") {
			m.Pinning = ebpf.PinByName
		}
	}
	opts := &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: d.dir}}
	if err := spec.LoadAndAssign(&d.objs, opts); err != nil {
		return nil, fmt.Errorf("load programs: %w", err)
	}
	if d.state, err = openState(&d.objs.datapathMaps); err != nil {
		return nil, err
	}
	if d.links, err = openLinks(filepath.Join(d.dir, linksFolder), &d.objs.datapathPrograms); err != nil {
		return nil, err
	}
	d.known = names{workloads: map[uint32]string{}, rules: map[uint32]string{}, numbers: map[string]uint32{}}
	return d, nil
}

// layout names the shape of the maps; maps of another layout are never opened.
func layout(spec *ebpf.CollectionSpec) string {
	var lines []string
	for name, m := range spec.Maps {
		if !strings.HasPrefix(name, ".") {
			lines = append(lines, fmt.Sprintln(name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return fmt.Sprintf("layout-%d-%s", layoutVersion, hex.EncodeToString(sum[:4]))
}

// set fills in the constants of the programs.
func (c *Config) set(spec *ebpf.CollectionSpec) error {
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	var cgroups [4]uint64
	for i, folder := range c.ProxyCgroups {
		if cgroups[i], err = cgroupID(folder); err != nil {
			return err
		}
	}
	var level uint32
	if c.CgroupRoot != "" {
		if level, err = cgroupLevel(c.CgroupRoot); err != nil {
			return err
		}
	}
	var nonce [8]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return fmt.Errorf("draw a number: %w", err)
	}
	tick, err := jiffy()
	if err != nil {
		return err
	}
	v4, v6 := c.listeners()
	for name, value := range map[string]any{
		"netns_cookie":  cookie,
		"answer_nonce":  binary.NativeEndian.Uint64(nonce[:]) | 1,
		"proxy_cgroups": cgroups,
		"tick":          tick,
		"cgroup_level":  level,
		"mark_redirect": c.Steering.Marks.Redirect,
		"mark_loop":     c.Steering.Marks.Loop,
		"dns_port":      c.DNSPort,
		"reject_all":    truth(c.Reject),
		"events_all":    truth(c.EventsAll),
		"listener_v4":   encodeAddr(v4),
		"listener_v6":   encodeAddr(v6),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// checkBPFFS looks at the nearest folder that is there.
func checkBPFFS(path string) error {
	at := path
	for !exists(at) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", at, err)
	}
	if fs.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s lies on no bpffs: mount -t bpf bpf /sys/fs/bpf, or configure another folder", path)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Close frees what this process holds. What is pinned stays and goes on judging.
func (d *Datapath) Close() error {
	var errs []error
	if d.links != nil {
		errs = append(errs, d.links.close())
	}
	if d.objs.FromWorkload != nil {
		errs = append(errs, d.objs.Close())
	}
	return errors.Join(errs...)
}

// Adoptable reports whether a folder on bpffs holds what an earlier process left, so that a node
// already judges.
func Adoptable(bpffs string) bool {
	found, err := filepath.Glob(filepath.Join(bpffs, "layout-*", linksFolder, "*"))
	return err == nil && len(found) > 0
}
