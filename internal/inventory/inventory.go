// SPDX-License-Identifier: Apache-2.0

// Package inventory reads who takes part, for the verbs that judge without a node: workloads, the
// host, resolvers, and what has been looked up.
//
// One file serves every verb. The agent's configuration is an inventory too: its other keys are known
// and mean nothing here, but for the ports of the L7 proxy, which bound programs. The names of answers mean
// nothing to whoever compiles. Nothing is taken
// from the machine.
//
//	inv, err := inventory.Read("node.yaml")
//	everyone, err := inv.Everyone() // each workload is enforced, wherever it runs
//	node, err := inv.Node()         // as the file says
//
// Invariants: names are unique and addresses have one owner; every error says the line.
package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"mpol/agent/config"
	"mpol/compiler/program"
	"mpol/lang/diag"
)

// Host is the word for the host where the name of a workload may stand.
const Host = "host"

// Inventory is a file as read. Addresses are sorted and none is a mapped one.
type Inventory struct {
	// Written is what the file says of workloads, the node's addresses and resolvers, workloads
	// sorted by name.
	Written program.Inventory
	Answers []Answer // in file order
	// Limits are those of a node with the file's ports for the L7 proxy, if it is an agent's configuration,
	// or with the default ones.
	Limits program.Limits

	lines  map[string]int        // of the workloads
	owners map[netip.Addr]string // a workload, or Host
}

// Answer is a DNS name that a workload, or Host, has looked up.
type Answer struct {
	Holder    string
	Name      program.Name
	Addresses []netip.Addr
}

// file is the inventory as written: YAML or JSON, docs/schemas/inventory.schema.json.
type file struct {
	config.Config `yaml:",inline"`
	Host          host     `yaml:"host"`
	Names         []answer `yaml:"names"`
}

type host struct {
	Addresses []netip.Addr `yaml:"addresses"`
}

type answer struct {
	Workload  string       `yaml:"workload"`
	Name      string       `yaml:"name"`
	Addresses []netip.Addr `yaml:"addresses"`
}

// Read reads the inventory at path.
func Read(path string) (*Inventory, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	inv, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("inventory %s: %w", path, err)
	}
	return inv, nil
}

// Parse reads an inventory; its errors are one sentence.
func Parse(text []byte) (*Inventory, error) {
	if json.Valid(text) {
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" ")) // JSON is YAML but for its tabs
	}
	f := file{Config: config.Config{Listen: config.DefaultListen()}}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&f); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty; it needs workloads")
	case err != nil:
		return nil, config.Fault(text, err, &f)
	case !errors.Is(d.Decode(new(yaml.Node)), io.EOF):
		return nil, errors.New("more than one YAML document; keep one")
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, config.Fault(text, err, &f)
	}
	return build(&f, &root)
}

func build(f *file, root *yaml.Node) (*Inventory, error) {
	inv := &Inventory{Limits: f.Listen.Limits(), lines: map[string]int{}, owners: map[netip.Addr]string{}}
	nodes, key := f.NodeAddresses, "node_addresses"
	if len(f.Host.Addresses) > 0 {
		if len(nodes) > 0 {
			return nil, fmt.Errorf("line %d: node_addresses and host.addresses are the same thing; keep one", line(root, "host", -1))
		}
		nodes, key, f.NodeAddresses = f.Host.Addresses, "host", f.Host.Addresses
	}
	if len(f.Workloads) == 0 && len(nodes) == 0 {
		return nil, errors.New("neither workloads nor a host")
	}
	if err := inv.own(Host, nodes); err != nil {
		return nil, fmt.Errorf("line %d: %s: %w", line(root, key, -1), key, err)
	}
	for i, w := range f.Workloads {
		at := line(root, "workloads", i)
		if err := inv.add(w, at); err != nil {
			return nil, fmt.Errorf("line %d: workload %q: %w", at, w.Name, err)
		}
	}
	inv.Written = f.Inventory(config.Discovered{})
	for i, a := range f.Names {
		if err := inv.learn(a); err != nil {
			return nil, fmt.Errorf("line %d: name %q: %w", line(root, "names", i), a.Name, err)
		}
	}
	return inv, nil
}

// add notes a workload and refuses one that contradicts itself or another.
func (inv *Inventory) add(w config.Workload, at int) error {
	switch {
	case w.Name == "":
		return errors.New("it has no name")
	case strings.ContainsFunc(w.Name, unicode.IsControl):
		return errors.New("its name has characters that cannot be shown")
	case inv.lines[w.Name] > 0:
		return fmt.Errorf("there is another workload of this name in line %d", inv.lines[w.Name])
	case w.Interface != "" && w.Cgroup != "":
		return errors.New("it has both an interface and a cgroup; keep one")
	case w.Cgroup != "" && len(w.Addresses) > 0:
		return errors.New("in a cgroup it shares the node's addresses; remove its own")
	}
	inv.lines[w.Name] = at
	return inv.own(w.Name, w.Addresses)
}

// own takes addresses for their owner; none has two.
func (inv *Inventory) own(owner string, addresses []netip.Addr) error {
	for _, a := range addresses {
		a = a.Unmap()
		first, taken := inv.owners[a]
		switch {
		case !a.IsValid():
			return errors.New("an address is empty")
		case a.Zone() != "":
			return fmt.Errorf("the address %s has a zone; leave it away", a)
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() && owner != Host:
			return fmt.Errorf("the address %s is nobody's own", a)
		case taken:
			return fmt.Errorf("the address %s is already that of %s", a, first)
		}
		inv.owners[a] = owner
	}
	return nil
}

// learn adds an answer.
func (inv *Inventory) learn(in answer) error {
	switch {
	case in.Workload != Host && inv.lines[in.Workload] == 0:
		return fmt.Errorf("there is no workload %q%s", in.Workload, inv.Nearest(in.Workload))
	case !IsName(in.Name):
		return errors.New("it is no DNS name")
	case len(in.Addresses) == 0:
		return errors.New("it has no addresses")
	}
	out := Answer{Holder: in.Workload, Name: program.ParseName(in.Name)}
	for _, a := range in.Addresses {
		if !a.IsValid() || a.Zone() != "" {
			return fmt.Errorf("%q is no address that a name can have", a)
		}
		out.Addresses = append(out.Addresses, a.Unmap())
	}
	inv.Answers = append(inv.Answers, out)
	return nil
}

// Owner returns whose an address is: a workload's name, Host, or nothing.
func (inv *Inventory) Owner(a netip.Addr) string { return inv.owners[a.Unmap()] }

// Taken returns every address that the file gives somebody or some name.
func (inv *Inventory) Taken() []netip.Addr {
	taken := slices.Collect(maps.Keys(inv.owners))
	for _, a := range inv.Answers {
		taken = append(taken, a.Addresses...)
	}
	return taken
}

// Nearest says which workload was probably meant, perhaps by the beginning of its name, or nothing.
func (inv *Inventory) Nearest(name string) string {
	names := slices.Sorted(maps.Keys(inv.lines))
	near := diag.Nearest(name, append(names, Host))
	if i, _ := slices.BinarySearch(names, name); near == "" && name != "" && i < len(names) && strings.HasPrefix(names[i], name) {
		near = names[i]
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}

// IsName reports whether a text can be a DNS name of a host.
func IsName(text string) bool {
	labels := program.ParseName(text)
	if len(labels) == 0 || len(text) > 254 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\:*"`, r)
		}) {
			return false
		}
	}
	return true
}

// line returns the line of item i below a key of the file, or of the key for i < 0.
func line(root *yaml.Node, key string, i int) int {
	if len(root.Content) == 0 {
		return 1
	}
	top := root.Content[0].Content
	for k := 0; k+1 < len(top); k += 2 {
		if top[k].Value != key {
			continue
		}
		if value := top[k+1]; i >= 0 && i < len(value.Content) {
			return value.Content[i].Line
		}
		return top[k].Line
	}
	return 1
}
