// SPDX-License-Identifier: Apache-2.0

// Package config reads the agent's configuration, a YAML file in which an unknown key is an error.
//
// It is not the policy: nothing here grants anything. It says who runs where (the inventory), which
// devices and folders the agent uses, and which ports, marks and tables it may take, so that many
// nodes can live side by side on one machine.
//
//	cfg, err := config.Load("/etc/mpol/agent.yaml")
//	inv, err := cfg.Inventory(addressesOfThisNode)
//
// Invariants: a Config that Load returned has every default filled in and every value checked that
// can be checked without touching the machine.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"mpol/compiler/program"
)

// Config is the whole file. Field comments give the defaults.
type Config struct {
	// Workloads of this node and, without interface and cgroup, of others.
	Workloads []Workload `yaml:"workloads"`
	// Uplinks are the devices to the world. None means that nothing enters from outside.
	Uplinks []string `yaml:"uplinks"`
	// NodeAddresses are this node's own addresses; default: those of its devices at start.
	NodeAddresses []netip.Addr `yaml:"node_addresses"`
	// Policies are files and folders of .mpol files; required. Relative paths start at the
	// configuration's folder.
	Policies []string `yaml:"policies"`
	// Guardrails are folders of guardrails that the policies must pass beside the built-in ones.
	// Relative paths start at the configuration's folder.
	Guardrails []string `yaml:"guardrails"`
	// State holds numbers, sockets and logs. Default: /var/lib/mpol.
	State string `yaml:"state"`
	// BPFFS is the folder for pins; its parent is a mounted bpffs. Default: /sys/fs/bpf/mpol.
	BPFFS string `yaml:"bpffs"`
	// CgroupRoot is the long-lived ancestor of all host workloads' cgroups; required when a
	// workload has a cgroup. Never the root of the cgroup mount.
	CgroupRoot string `yaml:"cgroup_root"`
	// OwnCgroup holds the agent's and Envoy's own cgroups, outside cgroup_root; nothing else may run
	// in it. Default: mpol at the top of the cgroup2 mount.
	OwnCgroup string `yaml:"own_cgroup"`
	// Marks on packets and sockets. They select routes and grant nothing.
	Marks Marks `yaml:"marks"`
	// RouteTables that the marks lead to.
	RouteTables RouteTables `yaml:"route_tables"`
	// Resolvers are the DNS servers whose answers are believed: the resolver "node". Default: the
	// nameservers of /etc/resolv.conf.
	Resolvers []netip.Addr `yaml:"resolvers"`
	// Search suffixes: questions below them are refused with NXDOMAIN, so that search lists go on.
	Search []string `yaml:"search"`
	// TTL bounds how long a learned address stays open.
	TTL TTL `yaml:"ttl"`
	// Deny says what a denied packet gets: "drop" (default) or "reject".
	Deny string `yaml:"deny"`
	// DNSRefusal is the answer to a refused question: "refused" (default) or "nxdomain".
	DNSRefusal string `yaml:"dns_refusal"`
	// Envoy is the path of the Envoy binary; default: envoy on the PATH.
	Envoy string `yaml:"envoy"`
	// Listen gives the ports of the proxies on loopback.
	Listen Listen `yaml:"listen"`
	// Events says where flow events go.
	Events Events `yaml:"events"`
}

// Workload is one entry of the inventory: interface or cgroup, or neither for another node's.
type Workload struct {
	Name      string            `yaml:"name"`
	Labels    map[string]string `yaml:"labels"`
	Addresses []netip.Addr      `yaml:"addresses"`
	Interface string            `yaml:"interface"`
	// Cgroup is a path below cgroup_root.
	Cgroup string `yaml:"cgroup"`
}

// Marks are non-zero, distinct packet marks. Defaults: 0x6d01, 0x6d02, 0x6d03.
type Marks struct {
	Redirect uint32 `yaml:"redirect"` // packets handed to a proxy's socket
	Loop     uint32 `yaml:"loop"`     // sockets of host workloads whose flow leads through lo
	Upstream uint32 `yaml:"upstream"` // the L7 proxy's sockets that bear the client's address
}

// RouteTables are distinct routing tables. Defaults: 27905, 27906.
type RouteTables struct {
	Redirect uint32 `yaml:"redirect"`
	Loop     uint32 `yaml:"loop"`
}

// TTL clamps the time that a learned address is open. Defaults: 5s, 1h, 30s.
type TTL struct {
	Min   time.Duration `yaml:"min"`
	Max   time.Duration `yaml:"max"`
	Grace time.Duration `yaml:"grace"` // added in the map only, for clients that pool connections
}

// Listen are ports on 127.0.0.1 and ::1. Defaults: 15053, and 15100 to 15999. Half of the latter is how
// many profiles a program may have.
type Listen struct {
	DNS     uint16 `yaml:"dns"`
	L7First uint16 `yaml:"l7_first"`
	L7Last  uint16 `yaml:"l7_last"`
}

// DefaultListen are the ports of a configuration that says nothing of them.
func DefaultListen() Listen { return Listen{DNS: 15053, L7First: 15100, L7Last: 15999} }

// Limits are those of a program for these ports. A profile has a port of its own, and a switch keeps
// those of the generation that goes beside those of the one that comes.
func (l Listen) Limits() program.Limits {
	ports := int(l.L7Last) - int(l.L7First) + 1
	return program.Limits{Profiles: min(max(ports/2, 1), program.MaxProfiles)}
}

// Events says where JSON lines go: To is a file to append to or a Unix stream socket to connect
// to; default: events.jsonl in the state folder. All reports allowed flows too, not only denials
// and rules that log.
type Events struct {
	To  string `yaml:"to"`
	All bool   `yaml:"all"`
}

// Load reads and checks the file at path. Its errors are one sentence that names the key.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	c.resolve(filepath.Dir(path))
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func parse(text []byte) (*Config, error) {
	c := &Config{
		State:       "/var/lib/mpol",
		BPFFS:       "/sys/fs/bpf/mpol",
		Marks:       Marks{Redirect: 0x6d01, Loop: 0x6d02, Upstream: 0x6d03},
		RouteTables: RouteTables{Redirect: 27905, Loop: 27906},
		TTL:         TTL{Min: 5 * time.Second, Max: time.Hour, Grace: 30 * time.Second},
		Deny:        "drop",
		DNSRefusal:  "refused",
		Envoy:       "envoy",
		Listen:      DefaultListen(),
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty; it needs at least policies")
		}
		return nil, Fault(text, err, c)
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document; keep one")
	}
	return c, nil
}

// resolve makes relative paths start at the configuration's folder and fills what depends on it.
func (c *Config) resolve(dir string) {
	abs := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	for i, p := range c.Policies {
		c.Policies[i] = abs(p)
	}
	for i, g := range c.Guardrails {
		c.Guardrails[i] = abs(g)
	}
	c.State, c.BPFFS = abs(c.State), abs(c.BPFFS)
	c.CgroupRoot, c.OwnCgroup = abs(c.CgroupRoot), abs(c.OwnCgroup)
	if filepath.Base(c.Envoy) != c.Envoy {
		c.Envoy = abs(c.Envoy)
	}
	if c.Events.To == "" {
		c.Events.To = filepath.Join(c.State, "events.jsonl")
	}
	c.Events.To = abs(c.Events.To)
}
