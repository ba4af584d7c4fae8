// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"mpol/agent/config"
	"mpol/compiler/program"
)

// readInventory reads who runs where from a YAML file: workloads, node_addresses and resolvers. It
// takes the agent's configuration too, whose other keys are known and mean nothing here.
func readInventory(path string) (program.Inventory, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return program.Inventory{}, fmt.Errorf("read inventory: %w", err)
	}
	var c config.Config
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&c); {
	case errors.Is(err, io.EOF):
		return program.Inventory{}, fmt.Errorf("inventory %s: the file is empty; it needs workloads", path)
	case err != nil:
		return program.Inventory{}, fmt.Errorf("inventory %s: %s", path, yamlFault(err))
	case d.Decode(new(config.Config)) != io.EOF:
		return program.Inventory{}, fmt.Errorf("inventory %s: more than one YAML document; keep one", path)
	}
	inv := c.Inventory(config.Discovered{})
	if err := checkInventory(inv); err != nil {
		return program.Inventory{}, fmt.Errorf("inventory %s: %w", path, err)
	}
	return inv, nil
}

// yamlFault says in one line what is wrong with a YAML text: its first mistake.
func yamlFault(err error) string {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) || len(wrong.Errors) == 0 {
		return strings.TrimPrefix(err.Error(), "yaml: ")
	}
	first := wrong.Errors[0]
	before, key, ok := strings.Cut(first, "field ")
	if key, _, found := strings.Cut(key, " not found in type "); ok && found {
		return fmt.Sprintf("%sunknown key %s", before, key)
	}
	return first
}

// checkInventory refuses what a Program could not say: two workloads of one name or at one
// address, and one workload at two places.
func checkInventory(inv program.Inventory) error {
	if len(inv.Workloads) == 0 {
		return errors.New("no workloads")
	}
	owners := map[netip.Addr]string{}
	for _, a := range inv.Node {
		owners[a] = "the node"
	}
	for i, w := range inv.Workloads { // sorted by name
		switch {
		case w.Name == "":
			return errors.New("a workload has no name")
		case i > 0 && inv.Workloads[i-1].Name == w.Name:
			return fmt.Errorf("two workloads are named %s", w.Name)
		case w.Interface != "" && w.Cgroup != "":
			return fmt.Errorf("workload %s has both interface and cgroup; keep one", w.Name)
		case w.Cgroup != "" && len(w.Addresses) > 0:
			return fmt.Errorf("workload %s has a cgroup and so shares the node's addresses; remove addresses", w.Name)
		case w.Cgroup == "" && len(w.Addresses) == 0:
			return fmt.Errorf("workload %s has neither addresses nor a cgroup", w.Name)
		}
		for _, a := range w.Addresses {
			if owner := owners[a]; owner != "" {
				return fmt.Errorf("address %s of workload %s belongs to %s", a, w.Name, owner)
			}
			owners[a] = w.Name
		}
	}
	return nil
}
