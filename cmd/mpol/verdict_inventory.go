// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"mpol/compiler/program"
)

// scene is who takes part in the flows of mpol verdict and mpol why, and what has been looked up.
// Every workload is enforced, wherever it runs.
type scene struct {
	inv   program.Inventory
	names []learned
	// owner is whose an address is: a workload's name, or host.
	owner map[netip.Addr]string
	// held are the names of answers by their holder and address.
	held map[held][]program.Name
}

// held is an address in an answer of a workload, or of the host.
type held struct {
	holder  string
	address netip.Addr
}

// learned is an answer that a workload, or the host, holds.
type learned struct {
	workload  string
	name      program.Name
	addresses []netip.Addr
}

// sceneFile is the inventory as written: YAML or JSON, docs/schemas/inventory.schema.json.
type sceneFile struct {
	Workloads []struct {
		Name      string            `yaml:"name"`
		Labels    map[string]string `yaml:"labels"`
		Addresses []netip.Addr      `yaml:"addresses"`
	} `yaml:"workloads"`
	Host struct {
		Addresses []netip.Addr `yaml:"addresses"`
	} `yaml:"host"`
	Resolvers []netip.Addr `yaml:"resolvers"`
	Names     []struct {
		Workload  string       `yaml:"workload"`
		Name      string       `yaml:"name"`
		Addresses []netip.Addr `yaml:"addresses"`
	} `yaml:"names"`
}

// readScene reads the inventory at path; its errors name the line.
func readScene(path string) (*scene, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	s, err := parseScene(text)
	if err != nil {
		return nil, fmt.Errorf("inventory %s: %w", path, err)
	}
	return s, nil
}

func parseScene(text []byte) (*scene, error) {
	if json.Valid(text) {
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" ")) // JSON is YAML but for its tabs
	}
	var f sceneFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&f); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty; it needs workloads")
	case err != nil:
		return nil, errors.New(yamlFault(err))
	case d.Decode(new(yaml.Node)) != io.EOF:
		return nil, errors.New("more than one YAML document; keep one")
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, errors.New(yamlFault(err))
	}
	b := sceneBuilder{file: &f, root: &root, scene: scene{owner: map[netip.Addr]string{}, held: map[held][]program.Name{}}}
	return b.build()
}

// sceneBuilder turns a file into a scene.
type sceneBuilder struct {
	file  *sceneFile
	root  *yaml.Node
	scene scene
}

func (b *sceneBuilder) build() (*scene, error) {
	f := b.file
	if len(f.Workloads) == 0 && len(f.Host.Addresses) == 0 {
		return nil, errors.New("neither workloads nor a host")
	}
	var err error
	if b.scene.inv.Node, err = b.addresses(f.Host.Addresses, endHost); err != nil {
		return nil, fmt.Errorf("line %d: host: %w", b.line("host", -1), err)
	}
	for i, w := range f.Workloads {
		if err := b.workload(i); err != nil {
			return nil, fmt.Errorf("line %d: workload %q: %w", b.line("workloads", i), w.Name, err)
		}
	}
	inv := &b.scene.inv
	slices.SortFunc(inv.Workloads, func(a, b program.Workload) int { return cmp.Compare(a.Name, b.Name) })
	for _, a := range f.Resolvers {
		inv.Resolvers = append(inv.Resolvers, a.Unmap().WithZone(""))
	}
	slices.SortFunc(inv.Resolvers, netip.Addr.Compare)
	inv.Resolvers = slices.Compact(inv.Resolvers)
	for i := range f.Names {
		if err := b.answer(i); err != nil {
			return nil, fmt.Errorf("line %d: name %q: %w", b.line("names", i), f.Names[i].Name, err)
		}
	}
	return &b.scene, nil
}

// workload adds workload i. One without addresses lives at those of the host.
func (b *sceneBuilder) workload(i int) error {
	in := b.file.Workloads[i]
	if in.Name == "" {
		return errors.New("it has no name")
	}
	if in.Name == endHost || in.Name == endNode {
		return errors.New("the name has a meaning of its own; choose another")
	}
	if _, err := netip.ParseAddr(in.Name); err == nil {
		return errors.New("the name is an address; choose another")
	}
	if slices.ContainsFunc(b.scene.inv.Workloads, func(w program.Workload) bool { return w.Name == in.Name }) {
		return errors.New("there is another workload of this name")
	}
	w := program.Workload{Name: in.Name, Interface: in.Name}
	for k, v := range in.Labels {
		w.Labels = append(w.Labels, program.Label{Key: k, Value: v})
	}
	slices.SortFunc(w.Labels, func(a, b program.Label) int { return cmp.Compare(a.Key, b.Key) })
	var err error
	if w.Addresses, err = b.addresses(in.Addresses, in.Name); err != nil {
		return err
	}
	if len(w.Addresses) == 0 {
		if len(b.scene.inv.Node) == 0 {
			return errors.New("it has no addresses, and there is no host whose it could share")
		}
		w.Interface, w.Cgroup = "", in.Name
	}
	b.scene.inv.Workloads = append(b.scene.inv.Workloads, w)
	return nil
}

// addresses takes the list of an owner; no address has two.
func (b *sceneBuilder) addresses(list []netip.Addr, owner string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range list {
		a = a.Unmap()
		first, taken := b.scene.owner[a]
		switch {
		case !a.IsValid():
			return nil, errors.New("an address is empty")
		case a.Zone() != "":
			return nil, fmt.Errorf("the address %s has a zone", a)
		case taken:
			return nil, fmt.Errorf("the address %s is already that of %s", a, first)
		}
		b.scene.owner[a] = owner
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out, nil
}

// answer adds the learned name i.
func (b *sceneBuilder) answer(i int) error {
	in := b.file.Names[i]
	known := in.Workload == endHost || slices.ContainsFunc(b.scene.inv.Workloads, func(w program.Workload) bool { return w.Name == in.Workload })
	switch {
	case !known:
		return fmt.Errorf("there is no workload %q%s", in.Workload, b.scene.nearest(in.Workload))
	case !isDNSName(in.Name):
		return errors.New("it is no DNS name")
	case len(in.Addresses) == 0:
		return errors.New("it has no addresses")
	}
	l := learned{workload: in.Workload, name: program.ParseName(in.Name)}
	for _, a := range in.Addresses {
		if !a.IsValid() || a.Zone() != "" {
			return fmt.Errorf("%q is no address that a name can have", a)
		}
		l.addresses = append(l.addresses, a.Unmap())
		at := held{in.Workload, a.Unmap()}
		b.scene.held[at] = append(b.scene.held[at], l.name)
	}
	b.scene.names = append(b.scene.names, l)
	return nil
}

// line returns the line of item i below a key of the file, or of the key's value for i < 0.
func (b *sceneBuilder) line(key string, i int) int {
	if len(b.root.Content) == 0 {
		return 1
	}
	top := b.root.Content[0].Content
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

// nearest says which workload was probably meant, or nothing.
func (s *scene) nearest(name string) string {
	names := []string{endHost}
	for _, w := range s.inv.Workloads {
		names = append(names, w.Name)
	}
	if near := closest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
