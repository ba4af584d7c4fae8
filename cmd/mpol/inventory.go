// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"mpol/agent/config"
	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/diag"
)

// readInventory reads who runs where from a YAML file: workloads, node_addresses and resolvers. It
// takes the agent's configuration too, whose other keys are known and mean nothing here.
func readInventory(path string) (program.Inventory, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return program.Inventory{}, fmt.Errorf("read inventory: %w", err)
	}
	inv, err := parseInventory(text)
	if err != nil {
		return program.Inventory{}, fmt.Errorf("inventory %s: %w", path, err)
	}
	return inv, nil
}

func parseInventory(text []byte) (program.Inventory, error) {
	var c config.Config
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&c); {
	case errors.Is(err, io.EOF):
		return program.Inventory{}, errors.New("the file is empty; it needs workloads")
	case err != nil:
		return program.Inventory{}, errors.New(yamlFault(err))
	case d.Decode(new(config.Config)) != io.EOF:
		return program.Inventory{}, errors.New("more than one YAML document; keep one")
	}
	inv := c.Inventory(config.Discovered{})
	return inv, checkInventory(inv)
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

// checkInventory refuses what an inventory lacks; what contradicts itself the compiler refuses.
func checkInventory(inv program.Inventory) error {
	if len(inv.Workloads) == 0 {
		return errors.New("no workloads")
	}
	for _, w := range inv.Workloads {
		switch {
		case w.Name == "":
			return errors.New("a workload has no name")
		case w.Cgroup == "" && len(w.Addresses) == 0:
			return fmt.Errorf("workload %q has neither addresses nor a cgroup", w.Name)
		}
	}
	return nil
}

// inventoryFault returns what the compiler found wrong with an inventory, which has no place in a
// policy, or nil.
func inventoryFault(path string, list diag.List) error {
	for _, d := range list {
		if d.Code == compiler.CodeInventory {
			return fmt.Errorf("inventory %s: %s", path, d.Summary)
		}
	}
	return nil
}
